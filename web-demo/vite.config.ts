import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import { type Plugin, defaultClientConditions, defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

/** Lays a packed copy beside each file that is built: the server sends that one, a third as long. */
const pack: Plugin = {
  name: 'pack',
  apply: 'build',
  writeBundle({ dir }, bundle) {
    for (const [name, file] of Object.entries(bundle)) {
      const content = file.type === 'chunk' ? file.code : file.source
      writeFileSync(join(dir!, `${name}.gz`), gzipSync(content, { level: 9 }))
    }
  },
}

export default defineConfig({
  plugins: [pack],
  // Relative addresses: the page works wherever it is mounted.
  base: './',
  // The provider from its sources: no build of it is needed.
  resolve: { conditions: ['collab-source', ...defaultClientConditions] },
  ssr: { resolve: { conditions: ['collab-source', ...defaultServerConditions] } },
  build: {
    outDir: '../server/static/demo',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    // Inlined assets would need `data:` in the page's content security policy.
    assetsInlineLimit: 0,
    // One file: nothing of the editor could come later. Kilobytes, before compression.
    chunkSizeWarningLimit: 600,
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
      '/hocuspocus': { target: 'ws://127.0.0.1:8000', ws: true },
      '/sse': { target: 'http://127.0.0.1:8000' },
    },
  },
  test: { include: ['provider/test/**/*.test.{ts,tsx}', 'src/**/*.test.ts'] },
})
