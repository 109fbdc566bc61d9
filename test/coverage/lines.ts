import { stripTypeScriptTypes } from 'node:module';

/** What V8 reports of one script of one process, as far as it is read here. */
export interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly {
      readonly startOffset: number;
      readonly endOffset: number;
      readonly count: number;
    }[];
  }[];
}

/** A line that can run: its number, and where its code begins and ends in the file. */
export interface CodeLine {
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

/** The lines of a file that hold code. Types, comments and blank lines are none. */
export function codeLines(source: string): readonly CodeLine[] {
  const stripped = stripTypeScriptTypes(source, { mode: 'strip' });
  let isComment = false;
  let offset = 0;
  return stripped.split('\n').flatMap((line, index) => {
    const start = offset + (line.length - line.trimStart().length);
    const end = offset + line.trimEnd().length;
    offset += line.length + 1;
    const text = line.trim();
    const began = isComment || text.startsWith('/*');
    isComment = began && !text.endsWith('*/');
    if (began || text.startsWith('//') || !/[\p{L}\p{N}'"`]/u.test(text)) return [];
    return [{ number: index + 1, start, end }];
  });
}

/** The lines of these that ran: those that no range of count 0 holds whole. An inner range says more than the one around it. */
export function linesThatRan(lines: readonly CodeLine[], { functions }: ScriptCoverage): Set<number> {
  const ranges = functions
    .flatMap((one) => one.ranges)
    .toSorted((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  const ran = new Set<number>();
  const open: typeof ranges = [];
  let next = 0;
  for (const { number, start, end } of lines) {
    for (let range = ranges[next]; range !== undefined && range.startOffset <= start; range = ranges[++next])
      open.push(range);
    while ((open.at(-1)?.endOffset ?? Infinity) <= start) open.pop();
    const innermost = open.findLast(({ endOffset }) => endOffset >= end);
    if (innermost === undefined || innermost.count > 0) ran.add(number);
  }
  return ran;
}

/** `3-5, 9` */
export function spansOf(numbers: readonly number[]): string {
  const spans: [first: number, last: number][] = [];
  for (const number of numbers) {
    const last = spans.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else spans.push([number, number]);
  }
  return spans.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}
