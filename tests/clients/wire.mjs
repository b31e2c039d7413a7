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

/**
 * A `fetch` for the fallback protocol that tells of every frame that comes, and whose connections can
 * be cut for good.
 *
 * @param heard called with each frame that comes, before the provider has it
 * @param sent called with each POST that goes
 * @param cut ends whatever is under way, and all that follows
 */
export function overheardFetch({ heard, sent, cut }) {
  return async (url, options) => {
    if (options.method === 'POST') sent()
    const signal = options.signal ? AbortSignal.any([options.signal, cut]) : cut
    const response = await fetch(url, { ...options, signal })
    const type = response.headers.get('content-type') ?? ''
    if (!type.startsWith('text/event-stream')) return response
    return new Response(response.body.pipeThrough(overhearing(heard)), response)
  }
}

/** Passes an event stream on, and tells of its frames: one base64 line an event. */
function overhearing(heard) {
  const decoder = new TextDecoder()
  let rest = ''
  let type = ''
  return new TransformStream({
    transform(piece, controller) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
      rest = lines.pop()
      for (const line of lines) {
        if (line.startsWith('event: ')) type = line.slice('event: '.length)
        else if (line.startsWith('data: ') && type === 'frame') {
          heard(new Uint8Array(Buffer.from(line.slice('data: '.length), 'base64')))
        }
      }
      controller.enqueue(piece)
    },
  })
}
