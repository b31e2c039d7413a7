import type { LeafBlockParser, MarkdownConfig } from '@lezer/markdown'

/** The longest paragraph that is read as one, characters: it is read anew, whole, with each key. */
export const PARAGRAPH_MOST = 8_192

/** A line that is too long by itself: a paragraph without anything in it. */
const plain: LeafBlockParser = {
  nextLine: () => false,
  finish(context, { start, content }) {
    context.addElement(context.elt('Paragraph', start, start + content.length))
    return true
  },
}

/**
 * Bounds what of a text is read at once.
 *
 * A text without blank lines, such as a log, is one paragraph to Markdown. Of 5 MB each change would
 * hold the page up for a second.
 */
export const boundedParagraphs: MarkdownConfig = {
  parseBlock: [
    {
      name: 'BoundedParagraph',
      before: 'LinkReference',
      endLeaf: (_context, _line, { content }) => content.length > PARAGRAPH_MOST,
      leaf: (_context, { content }) => (content.length > PARAGRAPH_MOST ? plain : null),
    },
  ],
}
