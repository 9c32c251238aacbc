/** jsdom lays nothing out and paints nothing. To be imported first by tests of components. */

import { cleanup, configure } from '@testing-library/react';
import { afterEach } from 'vitest';

class NoLayout {
  observe(): void {
    return;
  }
  disconnect(): void {
    return;
  }
}

HTMLCanvasElement.prototype.getContext = () => null;
Object.assign(window, { ResizeObserver: NoLayout, matchMedia: () => ({ matches: false }) });

configure({ defaultHidden: true }); // there is no style sheet that could hide anything, and looking for one takes long
afterEach(cleanup);
