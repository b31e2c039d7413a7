/**
 * Whatever this package raises on purpose.
 *
 *     CollabError
 *     ├── FrameError       bytes that are no frame of the protocol
 *     ├── DocumentOpen     a document is open on the connection already
 *     ├── Ended            what is used was destroyed
 *     └── MessageRefused   an application message was not passed on, or nobody knows
 */
export class CollabError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** Bytes that are no frame of the protocol. */
export class FrameError extends CollabError {}

/** A document is open on the connection already. */
export class DocumentOpen extends CollabError {}

/** What is used was destroyed. */
export class Ended extends CollabError {}

/** An application message was not passed on, or nobody knows whether it was. */
export class MessageRefused extends CollabError {}
