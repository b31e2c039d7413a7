/** A named point of the history. */
export interface Version {
  name: string
  seq: number
  created_ms: number
  author: string | null
  automatic: boolean
}
