import { defineConfig } from 'vitest/config';

// Stable names, no inline code, no preloading code: the page runs under a strict Content-Security-Policy, and
// a rebuild of unchanged sources leaves the committed bundle as it is.
export default defineConfig({
  base: './',
  build: {
    outDir: '../src/serving/static',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: true,
    rollupOptions: {
      output: {
        entryFileNames: 'hud.js',
        chunkFileNames: '[name].js',
        assetFileNames: '[name][extname]',
      },
    },
  },
  server: { proxy: { '/v1': { target: 'http://127.0.0.1:8765', ws: true }, '/readyz': 'http://127.0.0.1:8765' } },
  // patience with a busy machine
  test: { include: ['tests/**/*.test.ts'], testTimeout: 60_000 },
});
