/** Why a server ends a connection or a document; `collab/close.py` has the whole table. */
export const CloseCode = {
  /** No close was said: the network failed. */
  ABNORMAL: 1006,
  /** Against the rules, without a more telling code. */
  POLICY: 1008,
  /** A message longer than the server's bound. */
  TOO_LARGE: 1009,
  /** The server restarts: come back, to another one where there are several. */
  RESTART: 1012,
  /** A bound is reached: come back later. */
  TRY_AGAIN_LATER: 1013,
  /** Bytes that are not the protocol, or an update that cannot be applied. */
  MALFORMED: 4400,
  /** No valid token. */
  UNAUTHENTICATED: 4401,
  /** A valid token, and no access to this document. */
  FORBIDDEN: 4403,
  /** No such document. */
  NOT_FOUND: 4404,
  /** Too much in too little time. */
  RATE: 4429,
  /** A token that was good has expired. */
  EXPIRED: 4500,
} as const

/** Why the server will not have this client. */
export interface Refusal {
  /** A close code: 4401, 4403 and 4404 are the usual ones. */
  code: number
  reason: string
}

/** What to do after a close. */
export type Verdict =
  /** Come back, after the usual wait. */
  | 'return'
  /** Come back after a longer wait. */
  | 'wait'
  /** Come back with another token. */
  | 'renew'
  /** Come back, but not often: it will probably happen again. */
  | 'doubt'
  /** Stay away. */
  | 'stop'

/** What a close code asks of the client. */
export function judge(code: number): Verdict {
  switch (code) {
    case CloseCode.FORBIDDEN:
    case CloseCode.NOT_FOUND:
      return 'stop'
    case CloseCode.UNAUTHENTICATED:
    case CloseCode.EXPIRED:
      return 'renew'
    case CloseCode.TRY_AGAIN_LATER:
    case CloseCode.RATE:
      return 'wait'
    case CloseCode.POLICY:
    case CloseCode.TOO_LARGE:
    case CloseCode.MALFORMED:
      return 'doubt'
    default:
      return 'return'
  }
}
