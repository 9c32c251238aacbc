import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

import { standIn } from './dev/standIn';

// `--mode mock` answers the API with a synthetic study; otherwise `npm run dev` asks a reading room on port 8000.
export default defineConfig(({ mode }) => ({
  plugins: [react(), mode === 'mock' ? standIn() : null],
  build: {
    outDir: '../src/lumbargrade/web/page',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: mode === 'mock' ? {} : { proxy: { '/api': 'http://127.0.0.1:8000', '/readyz': 'http://127.0.0.1:8000' } },
  test: { environment: 'jsdom', setupFiles: 'src/test/setup.ts', include: ['src/**/*.test.{ts,tsx}'] },
}));
