import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

import { standIn } from './dev/standIn.ts';

// `--mode mock` answers the API with a synthetic study; otherwise `npm run dev` asks `lumbargrade serve` on its default port.
export default defineConfig(({ mode }) => ({
  plugins: [react(), mode === 'mock' ? standIn() : null],
  build: {
    outDir: '../src/lumbargrade/viewer/page',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: mode === 'mock' ? {} : { proxy: { '/api': 'http://127.0.0.1:8080' } },
  test: { include: ['src/**/*.test.{ts,tsx}'], pool: 'threads', maxWorkers: 2, testTimeout: 60_000 },
}));
