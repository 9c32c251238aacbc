import './styles/base.css';
import './styles/page.css';
import './styles/findings.css';
import './styles/viewer.css';
import './styles/media.css';

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { App } from './app/App.tsx';

const root = document.getElementById('root');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
