// @hocuspocus/server with @hocuspocus/extension-redis as it comes, documents in memory, on a free port that it prints.
import { Redis } from '@hocuspocus/extension-redis'
import { Server } from '@hocuspocus/server'

const bus = new URL(process.env.BUS)
const redis = new Redis({ host: bus.hostname, port: Number(bus.port) })
const server = new Server({ port: 0, address: '127.0.0.1', quiet: true, extensions: [redis] })
await server.listen()
console.log(`hocuspocus: listening on http://127.0.0.1:${server.address.port}`)
