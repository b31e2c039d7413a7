import { defineConfig } from 'vitest/config'

export default defineConfig({
  // Relative addresses: the page works wherever it is mounted.
  base: './',
  build: {
    outDir: '../server/static/demo',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    // Inlined assets would need `data:` in the page's content security policy.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: { index: 'index.html', 'service-worker': 'src/service-worker.ts' },
      output: {
        entryFileNames: ({ name }) =>
          name === 'service-worker' ? '[name].js' : 'assets/[name]-[hash].js',
      },
    },
  },
  server: {
    proxy: {
      // As objects: a plain address would have the server see another host than the page's own.
      '/api': { target: 'http://127.0.0.1:8000' },
      '/ws': { target: 'ws://127.0.0.1:8000', ws: true },
    },
  },
  test: { include: ['provider/test/**/*.test.ts', 'src/**/*.test.ts'] },
})
