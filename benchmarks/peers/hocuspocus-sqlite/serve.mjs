// @hocuspocus/server with its SQLite extension as it comes, on a free port that it prints.
// Usage: serve.mjs FILE
import { SQLite } from '@hocuspocus/extension-sqlite'
import { Server } from '@hocuspocus/server'

const server = new Server({
  port: 0,
  address: '127.0.0.1',
  quiet: true,
  extensions: [new SQLite({ database: process.argv[2] })],
})
await server.listen()
console.log(`hocuspocus: listening on http://127.0.0.1:${server.address.port}`)
