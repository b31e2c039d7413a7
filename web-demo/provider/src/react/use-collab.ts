import { useCallback, useEffect, useRef, useSyncExternalStore } from 'react'
import type { Awareness } from 'y-protocols/awareness'
import type * as Y from 'yjs'

import type { CollabDocument, Progress } from '../document.js'
import type { MessageListener } from '../messages.js'
import type { Peer, PresenceState } from '../presence.js'
import { useShared } from './root.js'

/** What a server draws, and a browser at first: the same, whatever has happened in between. */
const UNCONNECTED: Progress = {
  status: 'connecting',
  synced: false,
  saved: false,
  pendingChanges: 0,
  full: false,
  access: null,
  refusal: null,
}
const NOBODY: readonly Peer[] = []

/** A document, and where it stands. */
export interface Collab extends Progress {
  document: CollabDocument
  doc: Y.Doc
  awareness: Awareness
}

/** Opens a document while a component uses it; draws again when it stands elsewhere. */
export function useCollab(name: string): Collab {
  const { leases } = useShared()
  const document = leases.look(name)
  const subscribe = useCallback(
    (onchange: () => void) => {
      const release = leases.hold(name)
      document.on('progress', onchange)
      return () => {
        document.off('progress', onchange)
        release()
      }
    },
    [leases, name, document],
  )
  // Looked up anew: what was drawn and not mounted for long has been closed.
  const read = (): Progress => leases.look(name).progress
  const progress = useSyncExternalStore(subscribe, read, () => UNCONNECTED)
  return { ...progress, document, doc: document.doc, awareness: document.awareness }
}

/** Who has a document open. */
export interface PresenceView {
  /** Everyone else. */
  others: readonly Peer[]
  /** What this client shows; null where it is not to be seen. */
  own: PresenceState | null
  /** Shows these fields beside the others. */
  patch: (fields: PresenceState) => void
}

/** Who has a document open and what they show; draws again when that changes. */
export function usePresence(name: string): PresenceView {
  const { leases } = useShared()
  const { presence } = leases.look(name)
  const subscribe = useCallback(
    (onchange: () => void) => {
      const release = leases.hold(name)
      presence.on('change', onchange)
      return () => {
        presence.off('change', onchange)
        release()
      }
    },
    [leases, name, presence],
  )
  const readOthers = (): readonly Peer[] => leases.look(name).presence.others
  const readOwn = (): PresenceState | null => leases.look(name).presence.own
  const others = useSyncExternalStore(subscribe, readOthers, () => NOBODY)
  const own = useSyncExternalStore(subscribe, readOwn, () => null)
  const patch = useCallback((fields: PresenceState) => presence.patch(fields), [presence])
  return { others, own, patch }
}

/** Calls a listener for each application message of a type in a document. */
export function useMessages(name: string, type: string, listener: MessageListener): void {
  const { leases } = useShared()
  const { messages } = leases.look(name)
  const latest = useRef(listener)
  useEffect(() => {
    latest.current = listener
  })
  useEffect(() => {
    const release = leases.hold(name)
    const off = messages.on(type, (payload, origin) => latest.current(payload, origin))
    return () => {
      off()
      release()
    }
  }, [leases, name, messages, type])
}
