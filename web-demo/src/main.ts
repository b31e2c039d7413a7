import type { EditorView } from '@codemirror/view'
import { type CollabDocument, Connection } from 'collab-provider'
import type * as Y from 'yjs'

import { addressedDocument, documentAddress, nameFault } from './address.js'
import { CreateDialog } from './create-dialog.js'
import { DocumentList } from './document-list.js'
import { byId } from './elements.js'
import { Identity, initials } from './identity.js'
import { Notice } from './notice.js'
import { OpenDocument } from './open-document.js'
import { Sidebar } from './sidebar.js'
import { Trash } from './trash.js'

declare global {
  interface Window {
    /** What is open, for tests and the curious. */
    collab?: { provider: CollabDocument; connection: Connection; doc: Y.Doc; view: EditorView }
  }
}

const connection = new Connection({
  url: new URL('./', document.baseURI),
  getName: () => identity.user.name,
})
let opened: OpenDocument | null = null

const announcer = byId('announcer')
const announce = (message: string): void => {
  announcer.textContent = message
}

const identity = new Identity((user) => {
  showIdentity()
  if (opened) opened.user = user
})
const sidebar = new Sidebar()
const list = new DocumentList(visit, (name) => void trash.take(name))
const dialog = new CreateDialog(visit)
const notice = new Notice()
const trash = new Trash({
  notice,
  ondeleted: (name) => {
    if (name === addressedDocument()) leave()
    else void list.refresh()
  },
  onundeleted: (name) => {
    void list.refresh()
    const addressed = addressedDocument()
    if (name === addressed) opened?.provider.reopen()
    else if (addressed === null) visit(name)
    else notice.show(`Brought back “${name}”.`)
  },
})

function showIdentity(): void {
  const { name, color } = identity.user
  const swatch = byId('user-color')
  swatch.textContent = initials(name)
  swatch.style.setProperty('--person', color)
}

/** Goes to a document, as a click on a link would. */
function visit(name: string): void {
  if (name !== addressedDocument()) history.pushState(null, '', documentAddress(name))
  show()
  sidebar.close()
  opened?.editor.view.focus()
}

/** Goes to no document. */
function leave(): void {
  history.pushState(null, '', './')
  show()
  void list.refresh()
}

/** Shows what the page's address names. */
function show(): void {
  const addressed = addressedDocument()
  const name = addressed !== null && nameFault(addressed) === null ? addressed : null
  opened?.destroy()
  opened = null
  delete window.collab
  document.body.classList.toggle('empty', name === null)
  byId('welcome').hidden = name !== null
  byId('title').textContent = name ?? ''
  byId('title').hidden = name === null
  document.title = name === null ? 'collab' : `${name} · collab`
  if (name !== null) {
    opened = new OpenDocument(connection, name, identity.user, {
      announce,
      onstored: () => list.refreshSoon(),
      oncount: (people) => (list.here = people),
      ondelete: () => void trash.take(name),
      undelete: () => trash.giveBack(name),
      notice,
    })
    const { provider, doc, editor } = opened
    // A document out of bounds has no place in the list.
    provider.on('status', (status) => (list.current = status === 'refused' ? null : name))
    provider.on('refused', () => void list.refresh())
    window.collab = { provider, connection, doc, view: editor.view }
  }
  list.current = name
}

const nameField = byId<HTMLInputElement>('user-name')
nameField.value = identity.user.name
nameField.addEventListener('input', () => identity.rename(nameField.value))
nameField.addEventListener('change', () => {
  nameField.value = identity.user.name
  // A connection speaks for whom it was made.
  connection.disconnect()
  connection.connect()
})
byId('skip').addEventListener('click', (event) => {
  // The browser would not look for what takes the focus within a shadow root.
  event.preventDefault()
  opened?.editor.view.focus()
})
byId('user-color').addEventListener('click', () => identity.recolor())
byId('new-document').addEventListener('click', () => dialog.show())
byId('welcome-new').addEventListener('click', () => dialog.show())
byId('welcome-list').addEventListener('click', () => sidebar.open())
addEventListener('popstate', show)

showIdentity()
show()

if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  void navigator.serviceWorker.register(new URL('service-worker.js', document.baseURI))
}
