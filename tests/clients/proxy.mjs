import net from 'node:net'

/** A TCP proxy on the way to a server, whose wire can be cut or fall silent. */
export class Proxy {
  #server
  #target
  #pairs = new Set()
  #isCut = false
  #isSilent = false
  #dropped = []

  constructor({ port }) {
    this.#target = port
  }

  /** @returns the port it listens on */
  open() {
    this.#server = net.createServer((near) => this.#connect(near))
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => resolve(this.#server.address().port))
    })
  }

  /** Ends every connection and refuses new ones, until `mend`. */
  cut() {
    this.#isCut = true
    for (const sockets of this.#pairs) for (const socket of sockets) socket.destroy()
  }

  mend() {
    this.#isCut = false
  }

  /** Swallows everything from now on, and keeps connections open on both sides. */
  fall_silent() {
    this.#isSilent = true
  }

  /** Resolves once the server has ended a connection that fell silent. */
  when_dropped() {
    return new Promise((resolve) => this.#dropped.push(resolve))
  }

  #connect(near) {
    if (this.#isCut) {
      near.destroy()
      return
    }
    if (this.#isSilent) {
      near.on('error', () => undefined)
      return
    }
    const far = net.connect(this.#target, '127.0.0.1')
    const pair = [near, far]
    this.#pairs.add(pair)
    this.#forward(near, far)
    this.#forward(far, near)
    far.on('close', () => {
      if (!this.#isSilent) return
      for (const resolve of this.#dropped) resolve()
    })
    near.on('close', () => this.#pairs.delete(pair))
  }

  #forward(from, to) {
    from.on('data', (bytes) => {
      if (!this.#isSilent) to.write(bytes)
    })
    from.on('error', () => undefined) // 'close' follows.
    from.on('close', () => {
      if (!this.#isSilent) to.destroy()
    })
  }
}
