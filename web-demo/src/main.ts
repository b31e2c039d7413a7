import type { EditorView } from '@codemirror/view'
import { type CollabDocument, Connection } from 'collab-provider'
import type * as Y from 'yjs'

import { Account, type Standing } from './account.js'
import { addressedDocument, documentAddress, nameFault } from './address.js'
import { CreateDialog } from './create-dialog.js'
import { removeCopies, unsentDocuments } from './device-copies.js'
import { DocumentList } from './document-list.js'
import { byId } from './elements.js'
import { Identity, initials } from './identity.js'
import { Notice } from './notice.js'
import { OpenDocument } from './open-document.js'
import { Outbox } from './outbox.js'
import { bring } from './request.js'
import { Sidebar } from './sidebar.js'
import { SignIn } from './sign-in.js'
import { SignOutDialog } from './sign-out-dialog.js'
import { keptToken, takeLinkedToken } from './token.js'
import { Trash } from './trash.js'

declare global {
  interface Window {
    /** What is open, for tests and the curious. */
    collab?: { provider: CollabDocument; connection: Connection; doc: Y.Doc; view: EditorView }
  }
}

// First of all: the token is out of the address before anything else is done with it.
takeLinkedToken()
addEventListener('hashchange', () => {
  // Another link in the same tab: everything begins anew with its token.
  if (takeLinkedToken()) location.reload()
})

const account = new Account(follow)
bring(account)
const connection = new Connection({
  url: new URL('./', document.baseURI),
  getToken: () => account.getToken(),
  getName: () => identity.user.name,
  // What one of them stores is written by whoever has its token.
  getTabs: () => keptToken() ?? '',
})
let opened: OpenDocument | null = null
/** Whether somebody was let in since the page was loaded, and has not signed out. */
let wasIn = false
/** Whether the page shows nothing but the form that signs in. */
let isShut = false

const announcer = byId('announcer')
const announce = (message: string): void => {
  announcer.textContent = message
}

const identity = new Identity((user) => {
  showIdentity()
  if (opened) opened.user = user
})
const sidebar = new Sidebar()
const outbox = new Outbox(connection, () => void list.refresh())
const list = new DocumentList(visit, (name) => void trash.take(name), () => {
  const { standing } = account
  if (!isShut && standing?.refused === null) void outbox.send(standing.id)
})
const dialog = new CreateDialog(visit, async (name) => ['write', 'admin'].includes(await account.accessTo(name)))
const signOutDialog = new SignOutDialog(() => void signOut(), () => void signOut(removeCopies))
const notice = new Notice(() => sidebar.close(), focusPage)
const signIn = new SignIn(account, focusPage)
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

/** Gives the focus to what the page is for. */
function focusPage(): void {
  ;(opened ? opened.editor.view : welcome()).focus()
}

/** What takes the focus where no document is open: the first step from there, or what there is to read. */
function welcome(): HTMLElement {
  const steps = ['welcome-new', 'welcome-list', 'welcome-readers'].map((id) => byId(id))
  return steps.find((step) => step.checkVisibility())!
}

function showIdentity(): void {
  const { name, color, id } = identity.user
  const swatch = byId('user-color')
  swatch.textContent = initials(name)
  swatch.setAttribute('aria-label', `Change my colour, ${initials(name)}`)
  swatch.style.setProperty('--person', color)
  byId('claimed').hidden = id !== undefined
  byId('known').hidden = id === undefined
  byId('sign-out').hidden = id === undefined || !account.hasToken
  const shown = byId('known-name')
  shown.textContent = name
  shown.title = id ?? ''
}

/** Takes in who the page is for. */
function follow(standing: Standing): void {
  const { id, name, access, writable, refused } = standing
  byId('open-trash').hidden = access !== 'admin'
  if (refused === null) {
    // Where some names may be written nobody asks before a name is given.
    document.body.classList.toggle('reader', writable?.length === 0)
    wasIn = true
    identity.known = id === null ? null : { id, name: name ?? id }
    document.body.classList.remove('signed-out')
    if (isShut) {
      isShut = false
      show()
    } else if (opened?.isOutOfDate) show()
    if (opened) opened.isStranger = false
    signIn.hide()
    void list.refresh()
  } else if (!signIn.isShown) {
    // Who signs in next may be somebody else.
    void outbox.stop()
    // What was written before the server could say so is not taken off the page either.
    const isWriting = wasIn || (opened !== null && opened.provider.pendingChanges > 0)
    if (!isWriting) shut()
    else if (opened) opened.isStranger = true
    if (isWriting) announce('Your sign-in has ended.')
    signIn.show(isWriting ? 'lapsed' : 'arrived', account.hasToken ? refused : '')
  }
}

/** Shows nothing but the form that signs in. */
function shut(): void {
  isShut = true
  void opened?.destroy()
  opened = null
  delete window.collab
  document.title = 'Sign in · collab'
  document.body.classList.add('signed-out')
  sidebar.close()
  notice.hide()
  list.clear()
}

/**
 * Lets go of who is signed in.
 *
 * @param remove removes the copies on this device; without it they stay
 */
async function signOut(remove?: () => Promise<boolean>): Promise<void> {
  const isWaiting = unsentDocuments().length > 0
  const closed = Promise.all([opened?.destroy(), outbox.stop()])
  opened = null
  wasIn = false
  identity.known = null
  signIn.hide()
  account.signOut()
  signIn.show('left', '')
  const about = byId('sign-in-about')
  if (remove === undefined) {
    if (isWaiting) about.append(' What was not stored yet waits on this device.')
    return
  }
  await closed
  const isGone = await remove().catch(() => null)
  if (isGone === null) about.append(' The browser could not remove the copies on this device.')
  else if (isGone) about.append(' The copies on this device are removed.')
  else about.append(' The copies on this device go when the other tabs that show them are closed.')
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
  // What had the focus may have gone with the document.
  if (!document.activeElement?.checkVisibility() || document.activeElement === document.body) focusPage()
  void list.refresh()
}

/** Shows what the page's address names. */
function show(): void {
  if (isShut) return
  const addressed = addressedDocument()
  const fault = addressed === null ? null : nameFault(addressed)
  const name = fault === null ? addressed : null
  if (fault !== null) notice.show(`The address names no document. ${fault}`)
  void opened?.destroy()
  opened = null
  delete window.collab
  document.body.classList.toggle('empty', name === null)
  byId('welcome').hidden = name !== null
  byId('title').textContent = byId('title').title = name ?? ''
  byId('title').hidden = name === null
  document.title = name === null ? 'collab' : `${name} · collab`
  if (name !== null) {
    outbox.release(name)
    opened = new OpenDocument(connection, name, identity.user, {
      announce,
      onstored: () => list.refreshSoon(),
      oncount: (people) => (list.here = people),
      ondelete: () => void trash.take(name),
      undelete: () => trash.giveBack(name),
      mayDelete: () => (list.accessTo(name) ?? account.standing?.access) === 'admin',
      onstranger: () => account.doubt(),
      notice,
    })
    const { provider, doc, editor } = opened
    opened.isStranger = signIn.isShown
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
byId('sign-out').addEventListener('click', () => signOutDialog.show())
for (const id of ['new-document', 'welcome-new']) {
  byId(id).addEventListener('click', () => dialog.show(account.standing ? account.standing.writable : null))
}
byId('welcome-list').addEventListener('click', () => sidebar.open())
addEventListener('popstate', show)

showIdentity()
show()
// Where it cannot be asked now, what needs it asks again.
account.ask().catch(() => undefined)

if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  // Where it is forbidden the page needs the server to be loaded again.
  navigator.serviceWorker.register(new URL('service-worker.js', document.baseURI)).catch(() => undefined)
}
