import { CloseCode, type Progress as Standing, type Refusal, type Status } from 'collab-provider'

/** What the page says of connection and storage. */
export interface Progress {
  status: string
  saved: string
  /** Whether the server has stored everything, also what this device kept from earlier. */
  isSaved: boolean
}

const STATUS: Record<Status, string> = {
  connecting: 'Connecting…',
  connected: 'Connected',
  reconnecting: 'Reconnecting…',
  offline: 'Offline',
  refused: 'No access',
}

/**
 * Words for where a document stands.
 *
 * @param settled whether the copy of this device is loaded, or known not to be there
 * @param keeps whether this device keeps a copy
 * @param mayWrite whether the server takes changes
 * @param isSlow whether the server has stored nothing for a while of what it was sent
 */
export function describe(
  { status, saved, pendingChanges, full, refusal }: Pick<
    Standing,
    'status' | 'saved' | 'pendingChanges' | 'full' | 'refusal'
  >,
  settled: boolean,
  keeps: boolean,
  mayWrite: boolean,
  isSlow = false,
): Progress {
  const isSaved = saved && settled
  const isDeleted = refusal?.code === CloseCode.NOT_FOUND
  return { status: isDeleted ? 'Deleted' : STATUS[status], saved: savedText(), isSaved }

  function savedText(): string {
    if (status === 'refused' && pendingChanges === 0) return ''
    if (!mayWrite && pendingChanges === 0) return 'Read only'
    if (isSaved) return 'Saved'
    if (status === 'connecting') return ''
    // Of what a device kept from earlier nobody can say yet whether it waits.
    if (full) return 'Not stored'
    if (status === 'connected' && !isSlow) return pendingChanges > 0 ? 'Saving…' : ''
    const place = keeps ? ' on this device' : ', keep this page open'
    if (pendingChanges === 0) return keeps ? 'Kept on this device' : ''
    return `${pendingChanges} ${pendingChanges === 1 ? 'change' : 'changes'} waiting${place}`
  }
}

/**
 * What to tell a person whose document is as large as one may be: a title and a sentence.
 *
 * @param keeps whether this device keeps what is written
 */
export function explainFull(keeps: boolean): [title: string, text: string] {
  const kept = keeps ? ' and is kept on this device alone' : ''
  return [
    'This document is full',
    `What you write now is not stored by the server${kept}. Delete what is not needed, or copy it into a new document.`,
  ]
}

/**
 * What to tell a person whom the server refuses: a title and a sentence.
 *
 * @param mayUndelete whether they may bring back what was deleted
 */
export function explainRefusal({ code, reason }: Refusal, mayUndelete: boolean): [title: string, text: string] {
  switch (code) {
    case 4401:
      return ['You need to sign in', 'The server does not know who you are, or your sign-in has expired.']
    case 4403:
      return ['You have no access to this document', 'Ask the person who shared it to let you in.']
    case 4404:
      return [
        'This document was deleted',
        mayUndelete
          ? 'Somebody put it into the trash. It can be brought back, for everybody.'
          : 'Somebody put it into the trash. Ask those who look after this server to bring it back.',
      ]
    default:
      return ['The server refused this document', reason]
  }
}

/**
 * What to tell a person who is refused with changes that the server has not stored.
 *
 * @param keeps whether this device keeps what is written
 */
export function explainUnsent(keeps: boolean): string {
  const place = keeps ? 'kept on this device' : 'on this page alone'
  return `What you wrote and was not stored yet is ${place}, and can be downloaded from the menu.`
}
