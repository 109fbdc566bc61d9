import { dirname } from 'node:path/posix';
import type { NamedBag, NamedLength, SourceFile } from './source.ts';

/** What the import lines and the sizes of the files say of the code as a whole. */
export interface Structure {
  readonly files: number;
  readonly codeLines: number;
  /** Lines of comments among the lines of code and comments, 0–1. */
  readonly commentShare: number;
  readonly singleImporterFiles: number;
  readonly filesUnder40Lines: number;
  /** Pairs of folders that import each other, as `a <-> b`. */
  readonly mutualFolders: readonly string[];
  /** Imports against the direction of the layers, as `file -> file`. */
  readonly upwardImports: readonly string[];
  readonly largestBag: NamedBag;
  readonly longestFunction: NamedLength;
}

const SHORT_FILE_LINES = 40;

export function structureOf(sources: readonly SourceFile[]): Structure {
  const importers = new Map<string, number>();
  for (const file of new Set(sources.flatMap(({ imports }) => imports))) importers.set(file, 0);
  for (const { imports } of sources)
    for (const file of imports) importers.set(file, (importers.get(file) ?? 0) + 1);
  const [codeLines, commentLines] = [
    sum(sources.map((source) => source.codeLines)),
    sum(sources.map((source) => source.commentLines)),
  ];
  const arrows = arrowsOf(sources);
  return {
    files: sources.length,
    codeLines,
    commentShare: commentLines / Math.max(1, codeLines + commentLines),
    singleImporterFiles: sources.filter(({ path }) => importers.get(path) === 1).length,
    filesUnder40Lines: sources.filter(({ lines }) => lines < SHORT_FILE_LINES).length,
    mutualFolders: mutualFolders(arrows),
    upwardImports: upwardImports(arrows),
    largestBag: largestBag(sources),
    longestFunction: sources
      .flatMap(({ functions }) => functions)
      .reduce((longest, one) => (one.lines > longest.lines ? one : longest), { name: 'none', lines: 0 }),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

/** An import between two rooms. */
interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

/**
 * A room is a folder. A file beside folders is a room of its own: what joins the folders, and what they share, stand there side by
 * side without needing each other.
 */
function arrowsOf(sources: readonly SourceFile[]): readonly Arrow[] {
  const halls = new Set(sources.map(({ path }) => dirname(dirname(path))));
  const roomOf = (path: string): string => (halls.has(dirname(path)) ? path : dirname(path));
  return sources.flatMap(({ path, imports }) =>
    imports
      .map((target) => ({ from: roomOf(path), to: roomOf(target), text: `${path} -> ${target}` }))
      .filter(({ from, to }) => from !== to),
  );
}

function mutualFolders(arrows: readonly Arrow[]): readonly string[] {
  const pairs = new Set(arrows.map(({ from, to }) => `${from} <-> ${to}`));
  return [...pairs].filter((pair) => {
    const [from = '', to = ''] = pair.split(' <-> ');
    return from < to && pairs.has(`${to} <-> ${from}`);
  });
}

/**
 * The layers are read off the imports: rooms are put in the order with few imports against it (Eades, Lin and Smyth, 1993), and what
 * is left against it is counted. Without circles nothing is left.
 */
function upwardImports(arrows: readonly Arrow[]): readonly string[] {
  const order = layersOf(arrows);
  return arrows
    .filter(({ from, to }) => (order.get(from) ?? 0) > (order.get(to) ?? 0))
    .map(({ text }) => text);
}

function layersOf(arrows: readonly Arrow[]): ReadonlyMap<string, number> {
  const left = new Set(arrows.flatMap(({ from, to }) => [from, to]).toSorted());
  const [first, last]: [string[], string[]] = [[], []];
  while (left.size > 0) {
    const standing = arrows.filter(({ from, to }) => left.has(from) && left.has(to));
    const [out, into] = [countBy(standing, 'from'), countBy(standing, 'to')];
    const sinks = [...left].filter((room) => !out.has(room));
    const sources = [...left].filter((room) => !into.has(room) && out.has(room));
    if (sinks.length > 0) last.unshift(...sinks);
    else if (sources.length > 0) first.push(...sources);
    else first.push(mostLeaving(left, out, into));
    for (const room of [...first, ...last]) left.delete(room);
  }
  return new Map([...first, ...last].map((room, index) => [room, index]));
}

type Counts = ReadonlyMap<string, number>;

function countBy(arrows: readonly Arrow[], end: 'from' | 'to'): Counts {
  const counts = new Map<string, number>();
  for (const arrow of arrows) counts.set(arrow[end], (counts.get(arrow[end]) ?? 0) + 1);
  return counts;
}

function mostLeaving(rooms: ReadonlySet<string>, out: Counts, into: Counts): string {
  const surplus = (room: string): number => (out.get(room) ?? 0) - (into.get(room) ?? 0);
  return [...rooms].reduce((best, room) => (surplus(room) > surplus(best) ? room : best));
}

/** Of the object types that a constructor or a `create…` function takes, the one with the most properties. */
function largestBag(sources: readonly SourceFile[]): NamedBag {
  const taken = new Set(sources.flatMap(({ takes }) => takes));
  const bags = sources.flatMap(({ path, types }) =>
    types
      .filter(({ name }) => taken.has(name))
      .map(({ name, members }) => ({ name: `${path} ${name}`, members })),
  );
  return bags.reduce((largest, one) => (one.members > largest.members ? one : largest), {
    name: 'none',
    members: 0,
  });
}
