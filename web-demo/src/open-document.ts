import { CloseCode, type CollabDocument, type Connection } from 'collab-provider'
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'

import { isOthers, noteSent, noteUnsent, unsentDocuments } from './device-copies.js'
import { DeviceCopy, noteRecent } from './device-copy.js'
import { DocumentMenu } from './document-menu.js'
import { TextEditor } from './editor.js'
import { byId } from './elements.js'
import { Authors, type Person } from './history/authors.js'
import { HistoryPanel } from './history/panel.js'
import { Past } from './history/past.js'
import { describeRestore } from './history/restores.js'
import { WhoWrote } from './history/who-wrote.js'
import { type User, readUser } from './identity.js'
import type { Notice } from './notice.js'
import { PresenceList } from './presence.js'
import { describe, explainFull, explainRefusal, explainUnsent } from './progress.js'
import { selectionOf } from './remote-selections.js'
import { RequestFailed } from './request.js'

/** The root type that holds the text. */
const ROOT = 'content'

/** How long the page waits after the last change before it says "Saved", milliseconds. */
const CALM_MS = 400

/** What people are told whose document has a copy on this device that waits for somebody else. */
const OTHERS =
  'What somebody else wrote here on this device is stored when they sign in again. Until then no copy of yours is kept on it.'

/** How long the server may take to store something before the page no longer says "Saving…", milliseconds. */
const SLOW_MS = 5_000

/** What the page around a document does for it. */
interface Surroundings {
  /** Says something to people who cannot see the page. */
  announce: (message: string) => void
  /** Called when the server has stored everything. */
  onstored: () => void
  /** Told how many people have the document open. */
  oncount: (people: number) => void
  /** Called when it is to be deleted. */
  ondelete: () => void
  /** Brings it back after it was deleted. */
  undelete: () => Promise<void>
  /** Whether they may delete it, and bring it back. */
  mayDelete: () => boolean
  /** Called when the server no longer knows who they are. */
  onstranger: () => void
  notice: Notice
}

/** A document on the page: its text, its connection, its copy on this device. */
export class OpenDocument {
  readonly doc = new Y.Doc()
  readonly provider: CollabDocument
  readonly editor: TextEditor
  readonly #awareness: Awareness
  readonly #copy: DeviceCopy
  /** Whether the copy on this device holds what somebody else wrote and has yet to store: it is left alone. */
  readonly #isOthers: boolean
  readonly #presence: PresenceList
  readonly #undo: Y.UndoManager
  readonly #controls = new AbortController()
  readonly #announce: (message: string) => void
  readonly #history: HistoryPanel
  readonly #whoWrote: WhoWrote
  #user: User
  #settled = false
  #mayWrite = true
  #isStranger = false
  #savedTimer: ReturnType<typeof setTimeout> | undefined
  #slowTimer: ReturnType<typeof setTimeout> | undefined
  #isSlow = false
  #pending = 0
  #announced = ''

  constructor(
    connection: Connection,
    name: string,
    user: User,
    surroundings: Surroundings,
  ) {
    const { announce, oncount, ondelete, mayDelete, notice } = surroundings
    noteRecent(name)
    this.#announce = announce
    const text = this.doc.getText(ROOT)
    this.#isOthers = isOthers(name, user.id ?? null)
    this.#copy = new DeviceCopy(name, this.doc, this.#isOthers)
    this.#awareness = new Awareness(this.doc)
    // What this device kept comes first: then the server sends only what is missing.
    this.provider = connection.open(name, {
      doc: this.doc,
      awareness: this.#awareness,
      loaded: this.#copy.settled,
    })
    this.#undo = new Y.UndoManager(text)
    this.#user = user
    this.user = user
    const host = byId('text')
    host.hidden = false
    this.editor = new TextEditor(host, name, text, this.provider.awareness, this.#undo)
    this.#presence = new PresenceList(this.provider.awareness, (client) => {
      const selection = selectionOf(this.provider.awareness, client, text)
      if (selection) this.editor.show(selection.head)
    }, oncount)
    const past = new Past(name, ROOT, () => this.#user.name)
    const authors = new Authors(() => peopleIn(this.provider.awareness))
    const getWriter = (): string => this.#user.id ?? `~${this.#user.name}`
    const { messages } = this.provider
    const onrestore = (what: string): void => void messages.send('restored', { name: this.#user.name, what })
    this.#history = new HistoryPanel({ past, authors, notice, announce, onrestore })
    messages.on('restored', (payload) => {
      const words = describeRestore(payload)
      // Who types sees the text change under their hands.
      if (words !== null) notice.show(words, { label: 'History', run: async () => this.#history.open() })
    })
    this.#whoWrote = new WhoWrote(
      { past, authors, text, view: this.editor.view, getWriter },
      (isShown) => {
        for (const id of ['show-authors', 'menu-authors']) {
          byId(id).setAttribute('aria-pressed', String(isShown))
        }
      },
    )
    const onauthors = (): void => this.#whoWrote.toggle()
    byId('show-authors').addEventListener('click', onauthors, { signal: this.#controls.signal })
    const onhistory = (): void => this.#history.open()
    const onfind = (): void => this.editor.find()
    new DocumentMenu(
      { name, past, notice, onhistory, onauthors, onfind, ondelete, mayDelete, getText: () => text.toString() },
      this.#controls.signal,
    )
    this.#wire(surroundings)
    this.#show()
    if (this.#isOthers) notice.show(OTHERS)
    void this.#copy.settled.then(() => {
      this.#settled = true
      if (this.provider.saved) this.#noteSent()
      if (!this.#controls.signal.aborted) this.#show()
    })
  }

  set user(user: User) {
    this.#user = user
    this.provider.awareness.setLocalStateField('user', user)
  }

  /** Whether it is to be opened anew, as its copy on this device is another person's, or has become this one's. */
  get isOutOfDate(): boolean {
    // What is kept nowhere else is not taken off the page.
    const mayGo = this.#copy.keeps || this.provider.pendingChanges === 0
    return mayGo && this.#isOthers !== isOthers(this.provider.name, this.#user.id ?? null)
  }

  /** Whether whoever is here has to sign in before it goes on. */
  set isStranger(isStranger: boolean) {
    if (isStranger === this.#isStranger) return
    this.#isStranger = isStranger
    if (!isStranger && this.provider.refusal?.code === CloseCode.UNAUTHENTICATED) this.provider.reopen()
    this.#show()
  }

  /** @returns when its copy is closed */
  destroy(): Promise<void> {
    this.#controls.abort()
    clearTimeout(this.#savedTimer)
    this.#presence.destroy()
    this.#history.destroy()
    this.#whoWrote.destroy()
    this.editor.destroy()
    this.#undo.destroy()
    this.provider.close()
    clearTimeout(this.#slowTimer)
    this.#awareness.destroy()
    const closed = this.#copy.destroy()
    this.doc.destroy()
    byId('text').hidden = true
    byId('refusal').hidden = true
    byId('main').classList.remove('refused')
    return closed
  }

  #noteSent(): void {
    if (!this.#isOthers) noteSent(this.provider.name)
  }

  #wire({ onstored, undelete, mayDelete, onstranger, notice }: Surroundings): void {
    const { provider } = this
    const show = (): void => this.#show()
    provider.on('status', (status) => {
      if (status === 'connected') {
        this.#whoWrote.refresh()
        // What waited meanwhile is only sent now.
        this.#pending = 0
        this.#time(provider.pendingChanges)
      }
      show()
    })
    provider.on('pending', (changes) => {
      if (changes > 0 && !this.#isOthers) noteUnsent(provider.name, this.#user.id ?? null)
      this.#time(changes)
      show()
    })
    provider.on('saved', (saved) => {
      if (saved && this.#settled) this.#noteSent()
      show()
      this.#whoWrote.refresh()
      if (saved) onstored()
    })
    provider.on('refused', (refusal) => {
      if (refusal.code === CloseCode.UNAUTHENTICATED) return onstranger()
      const isLost = refusal.code === CloseCode.NOT_FOUND
      const [title, text] = explainRefusal(refusal, mayDelete())
      const isUnsent = provider.pendingChanges > 0 || unsentDocuments().includes(provider.name)
      byId('refusal-title').textContent = title
      byId('refusal-text').textContent = isUnsent ? `${text} ${explainUnsent(this.#copy.keeps)}` : text
      byId('retry').textContent = isLost && mayDelete() ? 'Bring it back' : 'Try again'
    })
    provider.on('full', (full) => {
      if (full) {
        const [title, text] = explainFull(this.#copy.keeps)
        byId('refusal-title').textContent = title
        byId('refusal-text').textContent = text
      }
      show()
    })
    const { signal } = this.#controls
    const [undo, redo] = [byId<HTMLButtonElement>('undo'), byId<HTMLButtonElement>('redo')]
    const showUndo = (): void => {
      undo.disabled = !this.#undo.canUndo()
      redo.disabled = !this.#undo.canRedo()
    }
    for (const event of ['stack-item-added', 'stack-item-popped', 'stack-cleared'] as const) {
      this.#undo.on(event, showUndo)
    }
    showUndo()
    const onleave = (event: Event): void => {
      // Nothing but this page holds it.
      if (provider.pendingChanges > 0 && !this.#copy.keeps) event.preventDefault()
    }
    addEventListener('beforeunload', onleave, { signal })
    undo.addEventListener('click', () => this.#undo.undo(), { signal })
    redo.addEventListener('click', () => this.#undo.redo(), { signal })
    const retry = async (): Promise<void> => {
      if (provider.refusal?.code !== CloseCode.NOT_FOUND || !mayDelete()) return provider.reopen()
      try {
        await undelete()
      } catch (error) {
        if (!(error instanceof RequestFailed)) throw error
        notice.show(error.message)
      }
    }
    byId('retry').addEventListener('click', () => void retry(), { signal })
  }

  /** Takes the time that the server needs to store something, while anything waits. */
  #time(pending: number): void {
    const isProgress = pending < this.#pending
    const isWaiting = this.#pending > 0
    this.#pending = pending
    if (isWaiting && !isProgress) return
    clearTimeout(this.#slowTimer)
    this.#isSlow = false
    if (pending > 0) {
      this.#slowTimer = setTimeout(() => {
        this.#isSlow = true
        this.#show()
      }, SLOW_MS)
    }
  }

  #show(): void {
    const { provider } = this
    // Without a connection what was said last holds.
    if (provider.access !== null) this.#mayWrite = provider.access === 'read-write'
    // Who has to sign in again goes on writing meanwhile; the form for it says the rest.
    const isRefused = provider.refusal !== null && provider.refusal.code !== CloseCode.UNAUTHENTICATED
    this.editor.allow(this.#mayWrite && !isRefused)
    const progress = describe(provider, this.#settled, this.#copy.keeps, this.#mayWrite, this.#isSlow)
    if (this.#isStranger) progress.status = 'Not signed in'
    byId('refusal').hidden = !isRefused && !provider.full
    byId('main').classList.toggle('refused', isRefused)
    if (isRefused) {
      this.#history.close()
      this.#whoWrote.hide()
    }
    byId('retry').hidden = !isRefused
    this.#history.standing = {
      isReachable: provider.status === 'connected',
      mayWrite: this.#mayWrite,
    }
    const status = byId('status')
    status.textContent = progress.status
    status.dataset['status'] = this.#isStranger ? 'refused' : provider.status
    const saved = byId('saved')
    saved.dataset['saved'] = String(progress.isSaved)
    clearTimeout(this.#savedTimer)
    if (!progress.isSaved || saved.textContent === '') saved.textContent = progress.saved
    // While someone types, the words would flicker with every acknowledgement.
    else this.#savedTimer = setTimeout(() => (saved.textContent = progress.saved), CALM_MS)
    if (provider.status !== 'connecting' && progress.status !== this.#announced) {
      this.#announced = progress.status
      this.#announce(progress.status)
    }
  }
}

/** Who is here, as they show themselves; with the id that the server gave them, where it knows them. */
function* peopleIn(awareness: Awareness): Iterable<Person> {
  for (const [client, presence] of awareness.getStates()) {
    const user = presence['user'] as { id?: unknown } | undefined
    if (user === undefined) continue
    const { name, color } = readUser(presence, client)
    yield { id: typeof user.id === 'string' ? user.id : null, name, color }
  }
}
