import WebSocket from 'ws'

/**
 * A WebSocket class whose instances tell of every frame that passes.
 *
 * @param heard called with each frame that comes, before the provider has it
 * @param sent called with each frame that goes
 */
export function overheard({ heard, sent }) {
  return class extends WebSocket {
    constructor(...options) {
      super(...options)
      this.on('message', (frame) => heard(new Uint8Array(frame)))
      // A provider that gives a connection up takes its listeners away first: ws would throw then.
      this.on('error', () => {})
    }

    send(frame, ...options) {
      sent(new Uint8Array(frame))
      super.send(frame, ...options)
    }
  }
}
