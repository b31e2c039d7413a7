import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { WebSocketServer, type WebSocket } from 'ws'
import {
  Awareness,
  applyAwarenessUpdate,
  encodeAwarenessUpdate,
  removeAwarenessStates,
} from 'y-protocols/awareness'
import * as Y from 'yjs'

import { readFrame, writeAwareness, writeStep1, writeStep2, writeUpdate } from '../frames.js'

const EMPTY_UPDATE_BYTES = 2

interface Peer {
  socket: WebSocket
  /** Updates of this peer that were applied and not yet acknowledged. */
  owed: Uint8Array[]
  /** The clients whose presence came over this connection. */
  present: Set<number>
}

/**
 * A server of one document that keeps collab's contract: others hear an update at once, its sender
 * when it is stored. Storing waits while `holding`.
 */
export class ContractServer {
  /** What the server has received. */
  readonly doc = new Y.Doc()
  /** What would be left after a crash: the updates stored so far. */
  readonly durable = new Y.Doc()
  readonly paths: string[] = []
  holding = false
  /** Says nothing at all, like a network that went dark. */
  mute = false
  /** Judges a connection: a close code refuses it. */
  judge: (path: string) => number | undefined = () => undefined
  readonly #awareness = new Awareness(this.doc)
  readonly #http = createServer()
  readonly #sockets = new WebSocketServer({ server: this.#http })
  readonly #peers = new Set<Peer>()
  #unstored: Uint8Array[] = []

  static async start(): Promise<ContractServer> {
    const server = new ContractServer()
    server.#awareness.setLocalState(null)
    server.#sockets.on('connection', (socket, request) => server.#welcome(socket, request.url ?? ''))
    await new Promise<void>((resolve) => server.#http.listen(0, '127.0.0.1', resolve))
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`
  }

  get connections(): number {
    return this.#peers.size
  }

  /** Stores what is held: each sender hears its updates, merged with those of `others`. */
  commit(...others: Uint8Array[]): void {
    for (const update of this.#unstored) Y.applyUpdate(this.durable, update)
    this.#unstored = []
    for (const peer of this.#peers) {
      if (peer.owed.length === 0) continue
      peer.socket.send(writeUpdate(Y.mergeUpdates([...peer.owed, ...others])))
      peer.owed = []
    }
  }

  /** Ends every connection, with a close code or abruptly. */
  drop(code?: number): void {
    for (const { socket } of this.#peers) {
      if (code === undefined) socket.terminate()
      else socket.close(code)
    }
  }

  async stop(): Promise<void> {
    this.drop()
    this.#sockets.close()
    this.doc.destroy()
    await new Promise((resolve) => this.#http.close(resolve))
  }

  #welcome(socket: WebSocket, path: string): void {
    this.paths.push(path)
    const code = this.judge(path)
    if (code !== undefined) return socket.close(code, 'judged')
    const peer: Peer = { socket, owed: [], present: new Set() }
    this.#peers.add(peer)
    socket.on('close', () => {
      this.#peers.delete(peer)
      const gone = [...peer.present]
      removeAwarenessStates(this.#awareness, gone, null)
      if (gone.length > 0) this.#tellPresence(gone, this.#peers)
    })
    socket.on('message', (message: Buffer) => this.#receive(peer, new Uint8Array(message)))
    if (this.mute) return
    socket.send(writeStep1(Y.encodeStateVector(this.doc)))
    this.#tellPresence([...this.#awareness.getStates().keys()], [peer])
  }

  #tellPresence(clients: number[], peers: Iterable<Peer>): void {
    const frame = writeAwareness(encodeAwarenessUpdate(this.#awareness, clients))
    for (const peer of peers) peer.socket.send(frame)
  }

  #receive(peer: Peer, bytes: Uint8Array): void {
    if (this.mute) return
    const frame = readFrame(bytes)
    if (frame.type === 'step1') {
      peer.socket.send(writeStep2(Y.encodeStateAsUpdate(this.doc, frame.stateVector)))
    } else if (frame.type === 'step2' || frame.type === 'update') {
      if (frame.update.byteLength <= EMPTY_UPDATE_BYTES) return
      const before = Y.snapshot(this.doc)
      Y.applyUpdate(this.doc, frame.update)
      // What brings nothing new goes back to its sender alone.
      const isNews = !Y.equalSnapshots(before, Y.snapshot(this.doc))
      for (const other of this.#peers) {
        if (isNews && other !== peer) other.socket.send(writeUpdate(frame.update))
      }
      this.#unstored.push(frame.update)
      peer.owed.push(frame.update)
      if (!this.holding) this.commit()
    } else if (frame.type === 'awareness') {
      const onUpdate = ({ added }: { added: number[] }): void => {
        for (const client of added) peer.present.add(client)
      }
      this.#awareness.on('update', onUpdate)
      applyAwarenessUpdate(this.#awareness, frame.update, peer)
      this.#awareness.off('update', onUpdate)
      for (const { socket } of this.#peers) socket.send(bytes)
    }
  }
}
