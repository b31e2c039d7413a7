// @y/websocket-server as its own server.js runs it, on a free port that it prints.
import http from 'node:http'
import { WebSocketServer } from 'ws'
import { setupWSConnection } from '@y/websocket-server/utils'

const sockets = new WebSocketServer({ noServer: true })
sockets.on('connection', setupWSConnection)

const server = http.createServer((_request, response) => response.end('okay'))
server.on('upgrade', (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (connection) => {
    sockets.emit('connection', connection, request)
  })
})
server.listen(0, '127.0.0.1', () => {
  console.log(`y-websocket: listening on http://127.0.0.1:${server.address().port}`)
})
