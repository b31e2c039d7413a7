// @hocuspocus/server with no extension, documents in memory, on a free port that it prints.
import { Server } from '@hocuspocus/server'

const server = new Server({ port: 0, address: '127.0.0.1', quiet: true })
await server.listen()
console.log(`hocuspocus: listening on http://127.0.0.1:${server.address.port}`)
