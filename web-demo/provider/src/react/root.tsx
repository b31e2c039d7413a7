import { createContext, type ReactNode, useContext, useEffect, useState } from 'react'

import { Connection } from '../connection.js'
import { CollabError } from '../errors.js'
import type { ConnectionOptions } from '../options.js'
import { Leases, type Prepare } from './leases.js'

/** What components below a `CollabRoot` share. */
interface Shared {
  connection: Connection
  leases: Leases
}

const Context = createContext<Shared | null>(null)

/** How long an unmounted root stays connected, milliseconds: strict mode mounts it again at once. */
const GRACE_MS = 1_000

export interface CollabRootProps extends ConnectionOptions {
  /** Prepares each document before the server is asked for it, such as from IndexedDB. */
  prepare?: Prepare
  children?: ReactNode
}

/**
 * The connection that all components below it use.
 *
 * It is made once, with the properties of the first drawing; another `key` makes another one.
 */
export function CollabRoot({ children, prepare, ...options }: CollabRootProps): ReactNode {
  const [shared] = useState<Shared>(() => {
    const connection = new Connection(options)
    if (typeof window !== 'undefined') return { connection, leases: new Leases(connection, prepare) }
    // What is drawn on a server goes to a browser: that one connects, and has a copy to prepare from.
    connection.disconnect()
    return { connection, leases: new Leases(connection) }
  })
  useEffect(() => keep(shared), [shared])
  return <Context.Provider value={shared}>{children}</Context.Provider>
}

const ending = new WeakMap<Shared, ReturnType<typeof setTimeout>>()

/** Keeps what is shared until what is returned is called, and a little longer. */
function keep(shared: Shared): () => void {
  clearTimeout(ending.get(shared))
  return () => {
    const end = (): void => {
      shared.leases.end()
      shared.connection.destroy()
    }
    ending.set(shared, setTimeout(end, GRACE_MS))
  }
}

/** @throws CollabError outside of a `CollabRoot` */
export function useShared(): Shared {
  const shared = useContext(Context)
  if (!shared) throw new CollabError('expected a component inside of CollabRoot, got one outside')
  return shared
}

/** The connection of the `CollabRoot` above. */
export function useConnection(): Connection {
  return useShared().connection
}
