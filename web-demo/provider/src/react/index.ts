export type { Prepare } from './leases.js'
export { CollabRoot, type CollabRootProps, useConnection } from './root.js'
export { type Collab, type PresenceView, useCollab, useMessages, usePresence } from './use-collab.js'
