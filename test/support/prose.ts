/** One paragraph, list item, heading or table cell, and the line on which it starts. */
export interface Paragraph {
  readonly line: number;
  readonly text: string;
}

const NEW_BLOCK = /^\s*(?:[-*+] |\d+\. |#{1,6} |> )/;
const MARKER = /^\s*(?:(?:[-*+]|\d+\.|#{1,6}|>) +)*/;

/** The prose of a Markdown text: no fenced block, no diagram, no address. Code spans become one word. */
export function proseOfMarkdown(markdown: string): readonly Paragraph[] {
  let isFenced = false;
  const lines = markdown.split('\n').map((line) => {
    if (/^\s*```/.test(line)) {
      isFenced = !isFenced;
      return '';
    }
    return isFenced ? '' : line;
  });
  return paragraphsOf(lines).flatMap(({ line, text }) =>
    cellsOf(text).map((cell) => ({ line, text: spoken(cell) })),
  );
}

/** The prose of the comments of a YAML text. A setting that is commented out is none. */
export function proseOfYaml(yaml: string): readonly Paragraph[] {
  const lines = yaml.split('\n').map((line) => {
    const comment = /^\s*#+(.*)$/.exec(line)?.[1]?.replace(/^[\s#]+/, '') ?? '';
    return isSetting(comment) ? '' : comment;
  });
  return paragraphsOf(lines).map(({ line, text }) => ({ line, text: spoken(text) }));
}

/** The prose of the comments of an SQL text that have a line of their own. */
export function proseOfSql(sql: string): readonly Paragraph[] {
  const lines = sql.split('\n').map((line) => /^\s*--(.*)$/.exec(line)?.[1]?.trim() ?? '');
  return paragraphsOf(lines).map(({ line, text }) => ({ line, text: spoken(text) }));
}

const isSetting = (text: string): boolean => /^[a-zA-Z][\w-]*:(?: \S+| \{.*\})?$/.test(text);

/** Joins the lines that belong together. */
export function paragraphsOf(lines: readonly string[]): Paragraph[] {
  const found: { line: number; text: string }[] = [];
  let isOpen = false;
  for (const [index, line] of lines.entries()) {
    const isRow = line.trimStart().startsWith('|');
    if (line.trim() === '') isOpen = false;
    else if (isOpen && !isRow && !NEW_BLOCK.test(line)) {
      const last = found.at(-1);
      if (last !== undefined) last.text += ` ${line.trim()}`;
    } else {
      found.push({ line: index + 1, text: line.replace(MARKER, '') });
      isOpen = !isRow && !/^\s*#/.test(line);
    }
  }
  return found;
}

function cellsOf(text: string): string[] {
  if (!text.startsWith('|')) return [text];
  return text.split('|').filter((cell) => /[a-z]/i.test(cell));
}

/** As it is read aloud. */
export function spoken(text: string): string {
  return text
    .replaceAll(/`[^`]*`/g, '§')
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/\*\*|(?<!\w)_|_(?!\w)|<[^>]+>/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

/** The sentences of a paragraph. A semicolon or a colon does not end one. */
export function sentencesOf(text: string): readonly string[] {
  return text.split(/(?<=[.!?]["')]?) (?=["'(]?[\p{Lu}\d§$])/u).filter((sentence) => /\w/.test(sentence));
}

export function wordsOf(sentence: string): readonly string[] {
  return sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}§]/u.test(word));
}
