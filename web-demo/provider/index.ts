export { CollabProvider } from './provider.js'
export type { CollabProviderEvents, CollabProviderOptions } from './provider.js'
export type { Refusal, Status } from './link.js'
