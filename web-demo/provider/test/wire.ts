import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'

import type { WebSocketClass } from '../src/socket.js'

const [SYNC, AWARENESS, AUTH, STATELESS, CLOSE, SYNC_STATUS] = [0, 1, 2, 5, 7, 8] as const

/** A server in memory, and the WebSockets that lead to it: nothing here needs a network or a clock. */
export class Wire {
  /** Every socket that was made, the latest last. */
  readonly sockets: WireSocket[] = []
  readonly docs = new Map<string, Y.Doc>()
  /** Whether sockets open, and nothing else is done by itself. */
  isReachable = true
  /** Whether nothing that is sent arrives, either way. */
  isSilent = false
  /** Whether documents are as large as they may be. */
  isFull = false
  /** Whether what the server says arrives at once, and not only with `deliver`. */
  isPrompt = true
  /** Decides on tokens: a close code refuses one, and undefined lets it in. */
  judge: (document: string, token: string) => number | undefined = () => undefined
  /** What those may do who are let in. */
  access: 'read-write' | 'readonly' = 'read-write'
  readonly tokens: string[] = []

  get WebSocket(): WebSocketClass {
    const wire = this
    class Socket extends WireSocket {
      constructor(url: string) {
        super(wire, url)
      }
    }
    return Socket as unknown as WebSocketClass
  }

  get last(): WireSocket {
    return this.sockets.at(-1)!
  }

  /** What the server has of the document that is called this on a connection. */
  docOf(address: string): Y.Doc {
    const name = address.split('\0')[0]!
    const doc = this.docs.get(name) ?? new Y.Doc()
    this.docs.set(name, doc)
    return doc
  }
}

/** One socket, with the server behind it. */
export class WireSocket {
  binaryType = ''
  readyState = 0
  onopen: (() => void) | null = null
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  onerror: (() => void) | null = null
  /** What was said, as (document, type). */
  readonly said: [document: string, type: number][] = []
  /** Where it leads. */
  readonly url: string
  readonly #wire: Wire
  #underWay: ArrayBuffer[] = []

  constructor(wire: Wire, url: string) {
    this.url = url
    this.#wire = wire
    wire.sockets.push(this)
    queueMicrotask(() => {
      if (this.readyState !== 0) return
      if (!wire.isReachable) return this.end(1006)
      this.readyState = 1
      this.onopen?.()
    })
  }

  /** The client ends it. */
  close(): void {
    this.readyState = 3
  }

  /** The server, or the network, ends it. */
  end(code: number, reason = ''): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.onclose?.({ code, reason })
  }

  /** The server says something of a document. */
  tell(document: string, type: number, ...rest: (number | string | Uint8Array)[]): void {
    if (this.readyState !== 1 || this.#wire.isSilent) return
    const encoder = encoding.createEncoder()
    for (const part of [document, type, ...rest]) {
      if (typeof part === 'number') encoding.writeVarUint(encoder, part)
      else if (typeof part === 'string') encoding.writeVarString(encoder, part)
      else encoding.writeVarUint8Array(encoder, part)
    }
    const bytes = encoding.toUint8Array(encoder)
    this.#underWay.push(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer)
    if (this.#wire.isPrompt) this.deliver()
  }

  /** What the server has said until now arrives. */
  deliver(): void {
    const arriving = this.#underWay
    this.#underWay = []
    for (const data of arriving) this.onmessage?.({ data })
  }

  /** The server closes one document. */
  closeDocument(document: string, code: number, reason = ''): void {
    this.tell(document, CLOSE, reason, code)
  }

  /** The server asks for another token. */
  askToken(document: string): void {
    this.tell(document, AUTH, 0)
  }

  send(frame: Uint8Array): void {
    if (this.#wire.isSilent) return
    const decoder = decoding.createDecoder(frame)
    const document = decoding.readVarString(decoder)
    const type = decoding.readVarUint(decoder)
    this.said.push([document, type])
    if (type === AUTH) this.#admit(document, decoder)
    else if (type === SYNC) this.#sync(document, decoder)
    else if (type !== AWARENESS && type !== STATELESS && type !== CLOSE) {
      throw new Error(`expected a message of a client, got type ${type}`)
    }
  }

  #admit(document: string, decoder: decoding.Decoder): void {
    decoding.readVarUint(decoder)
    const token = decoding.readVarString(decoder)
    this.#wire.tokens.push(token)
    const code = this.#wire.judge(document, token)
    if (code === undefined) this.tell(document, AUTH, 2, this.#wire.access)
    else this.tell(document, AUTH, 1, 'judged', code)
  }

  #sync(document: string, decoder: decoding.Decoder): void {
    const step = decoding.readVarUint(decoder)
    const body = decoding.readVarUint8Array(decoder)
    const doc = this.#wire.docOf(document)
    if (step === 0) {
      this.tell(document, SYNC, 0, Y.encodeStateVector(doc))
      this.tell(document, SYNC, 1, Y.encodeStateAsUpdate(doc, body))
    } else {
      const isTaken = !this.#wire.isFull || !brings(doc, body)
      if (isTaken) Y.applyUpdate(doc, body)
      this.tell(document, SYNC_STATUS, isTaken ? 1 : 0)
    }
  }
}

/** Whether an update holds anything that a document lacks. */
function brings(doc: Y.Doc, update: Uint8Array): boolean {
  const after = new Y.Doc()
  Y.applyUpdate(after, Y.encodeStateAsUpdate(doc))
  Y.applyUpdate(after, update)
  return !Y.equalSnapshots(Y.snapshot(doc), Y.snapshot(after))
}
