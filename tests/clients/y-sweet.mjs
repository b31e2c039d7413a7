import { EventEmitter } from 'node:events'

import { createYjsProvider } from '@y-sweet/client'
import { DocumentManager } from '@y-sweet/sdk'
import * as Y from 'yjs'

import { overheard } from './wire.mjs'

/** @y-sweet/client, with @y-sweet/sdk in the place of the application that hands out its tokens. */
export class YSweetLink extends EventEmitter {
  static yjs() {
    return Y
  }

  echoes = false
  #provider
  #status
  #tokens

  /**
   * @param base connection string, such as `ys://127.0.0.1:8000/y-sweet`
   * @param tokens what the application shows to the server, one for each token it asks for
   * @param authorization what it asks for: `full` or `read-only`
   */
  constructor({ base, room, doc, tokens, authorization = 'full' }) {
    super()
    this.#tokens = [...tokens]
    const authorize = () => this.#manager(base).getClientToken(room, { authorization })
    this.#provider = createYjsProvider(doc, room, authorize, {
      connect: false,
      showDebuggerLink: false,
      WebSocketPolyfill: overheard({
        heard: (frame) => this.emit('heard', frame, frame),
        sent: () => this.emit('sent'),
      }),
    })
    this.#provider.on('status', ({ status }) => {
      this.#status = status
      this.emit('status', status)
      if (status === 'connected') this.emit('admitted')
    })
    this.#provider.on('sync', (synced) => this.emit('sync', synced))
    this.#provider.on('connection-close', ({ code, reason }) => this.emit('closed', code, reason))
    this.#provider.on('local-changes', (unsaved) => {
      if (!unsaved) this.emit('saved')
    })
  }

  get awareness() {
    return this.#provider.awareness
  }

  get access() {
    return this.#provider.clientToken?.authorization ?? null
  }

  get isConnected() {
    return this.#status === 'connected'
  }

  get isSaved() {
    return !this.#provider.hasLocalChanges
  }

  get bufferedBytes() {
    return this.#provider.websocket?.bufferedAmount ?? 0
  }

  isOrigin(origin) {
    return origin === this.#provider
  }

  connect() {
    this.#provider.connect()
  }

  cut() {
    this.#leave()._socket.destroy()
  }

  destroy() {
    this.#provider.destroy()
    this.#leave().close()
  }

  /**
   * Takes its socket away: it would come back after its end, `disconnect` or not, and some seconds
   * later again, when it misses an answer.
   */
  #leave() {
    const { websocket } = this.#provider
    this.#provider.connect = async () => undefined
    websocket.onclose = websocket.onerror = null
    this.emit('status', 'disconnected')
    return websocket
  }

  #manager(base) {
    const token = this.#tokens.length > 1 ? this.#tokens.shift() : this.#tokens[0]
    return new DocumentManager(token ? base.replace('//', `//${encodeURIComponent(token)}@`) : base)
  }
}

/** @y-sweet/sdk as an application's server uses it. */
export class YSweetManager {
  #manager

  constructor({ base }) {
    this.#manager = new DocumentManager(base)
  }

  check() {
    return this.#manager.checkStore()
  }

  async create({ room }) {
    return (await this.#manager.createDoc(room)).docId
  }

  async create_with({ text }) {
    return (await this.#manager.createDocWithContent(encode(text))).docId
  }

  async read({ room }) {
    const doc = new Y.Doc()
    Y.applyUpdate(doc, await this.#manager.getDocAsUpdate(room))
    return doc.getText('content').toString()
  }

  write({ room, text }) {
    return this.#manager.updateDoc(room, encode(text))
  }
}

function encode(text) {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, text)
  return Y.encodeStateAsUpdate(doc)
}
