import http from 'node:http'
import net from 'node:net'

/**
 * An HTTP proxy on the way to a server, like those of offices and hotels: it may refuse WebSockets,
 * hold answers back until they are whole, delay everything, and end connections.
 */
export class HttpProxy {
  #target
  #server
  #ends = new Set()
  #sockets = new Set()
  #blocksWebSockets = false
  #holdsStreams = false
  #isCut = false
  #standsIn = false
  #delayMs = 0
  #websockets = 0

  /** @param port the server's */
  constructor({ port }) {
    this.#target = port
  }

  /** @returns the port it listens on */
  open() {
    this.#server = http.createServer((request, response) => this.#forward(request, response))
    this.#server.on('upgrade', (request, near, head) => this.#upgrade(request, near, head))
    this.#server.on('connection', (near) => {
      if (this.#isCut) return near.destroy()
      this.#ends.add(near)
      near.on('close', () => this.#ends.delete(near))
    })
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => resolve(this.#server.address().port))
    })
  }

  /** How many WebSockets it let through so far. */
  websockets() {
    return this.#websockets
  }

  /** How many connections are open. */
  connections() {
    return this.#ends.size
  }

  /** Refuses WebSockets from now on, and ends those there are. */
  block_websockets() {
    this.#blocksWebSockets = true
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Holds event streams back until they end. */
  hold_streams() {
    this.#holdsStreams = true
  }

  /** Lets everything through. */
  allow() {
    this.#blocksWebSockets = this.#holdsStreams = false
  }

  /** Delays every piece of a WebSocket by so much, either way. */
  delay({ ms }) {
    this.#delayMs = ms
  }

  /** Ends every connection; new ones are accepted. */
  drop() {
    for (const end of this.#ends) end.destroy()
  }

  /** Ends every connection and refuses new ones, until `mend`. */
  cut() {
    this.#isCut = true
    this.drop()
  }

  /** Answers 502 itself from now on, as for a server that is down, and ends what there is; until `mend`. */
  stand_in() {
    this.#standsIn = true
    this.drop()
  }

  mend() {
    this.#isCut = this.#standsIn = false
  }

  async close() {
    this.drop()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #forward(request, response) {
    if (this.#standsIn) return response.writeHead(502).end('502 Bad Gateway')
    const { method, url, headers } = request
    const onward = http.request({ port: this.#target, host: '127.0.0.1', method, path: url, headers })
    onward.on('error', () => response.destroy())
    onward.on('response', (answer) => {
      const isStream = (answer.headers['content-type'] ?? '').startsWith('text/event-stream')
      if (this.#holdsStreams && isStream && answer.headers['content-length'] === undefined) {
        const pieces = []
        answer.on('data', (piece) => pieces.push(piece))
        answer.on('end', () => {
          response.writeHead(answer.statusCode, answer.headers)
          response.end(Buffer.concat(pieces))
        })
      } else {
        response.writeHead(answer.statusCode, answer.headers)
        response.flushHeaders()
        answer.pipe(response)
      }
      answer.on('error', () => response.destroy())
    })
    response.on('close', () => onward.destroy())
    request.pipe(onward)
  }

  #upgrade(request, near, head) {
    near.on('error', () => undefined) // 'close' follows.
    if (this.#blocksWebSockets || this.#standsIn) {
      near.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      return
    }
    this.#websockets += 1
    this.#sockets.add(near)
    const far = net.connect(this.#target, '127.0.0.1')
    const { rawHeaders, method, url } = request
    const lines = [`${method} ${url} HTTP/1.1`]
    for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
    far.write(`${lines.join('\r\n')}\r\n\r\n`)
    far.write(head)
    this.#pass(near, far)
    this.#pass(far, near)
    near.on('close', () => this.#sockets.delete(near))
  }

  #pass(from, to) {
    const later = (run) => (this.#delayMs > 0 ? setTimeout(run, this.#delayMs) : run())
    from.on('data', (piece) => later(() => !to.destroyed && to.write(piece)))
    from.on('end', () => later(() => to.end()))
    from.on('error', () => undefined) // 'close' follows.
    from.on('close', () => to.destroy())
  }
}
