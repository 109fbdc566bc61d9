import { concernsOf, type ShownSurvey } from '../words.ts';
import {
  aside,
  type Block,
  code,
  column,
  counts,
  instant,
  remark,
  section,
  type Section,
  tableOf,
  words,
} from './document.ts';
import { counted, printedFigure } from './figures.ts';

/** What was imported of a service, in the document of a backfill. */
export interface Imported {
  readonly digest?: string;
  readonly skipped?: readonly { readonly owner: string; readonly reason: string; readonly items?: number }[];
  readonly mapping?: readonly { readonly from: string; readonly to: string }[];
  readonly not_mapped?: readonly { readonly what: string; readonly reason: string }[];
  readonly samples?: readonly {
    readonly owner?: string;
    readonly items?: number;
    readonly digest?: string;
    readonly first_item?: Readonly<Record<string, unknown>>;
  }[];
}

/** What legacy holds of a service, read before anything is written. */
export function surveySection(service: string, found: ShownSurvey): Section {
  if ('not_listed' in found)
    return section(service, { kind: 'note', tone: 'warn', cell: [`Left out: ${found.not_listed}`] });
  const { lanes = 0, items, content_bytes: bytes = 0, newest_at: newest = null, to_embed: embed } = found;
  const listed = [
    counted(lanes, 'lane'),
    ...(found.owners_from === 'journal' ? [aside('listed from the journal')] : []),
  ];
  if (items === undefined) return section(service, remark(...listed));
  const held = `, ${counted(items, 'item')}, ${size(bytes)}${newest === null ? '' : ', the newest of '}`;
  return section(
    service,
    remark(...listed, held, ...(newest === null ? [] : [instant(newest)])),
    ...(embed === undefined ? [] : [remark(embedWords(embed))]),
    tableOf(
      concernsOf(found),
      [
        counts('times', ({ count }) => count),
        words('problem', ({ words: what }) => what),
        words('owners', ({ owners }) => owners.map(shortened).join(', ')),
      ],
      { empty: 'No problems found' },
    ),
  );
}

function embedWords({
  items,
  seconds_with_the_built_in_model: value,
}: {
  readonly items: number;
  readonly seconds_with_the_built_in_model: number;
}): string {
  return `${counted(items, 'item')} to embed: about ${printedFigure({ value, unit: 'seconds' })} with the built-in model`;
}

function size(bytes: number): string {
  if (bytes < 10_240) return `${bytes} bytes`;
  const kibibytes = bytes / 1_024;
  return kibibytes < 10_240 ? `${Math.round(kibibytes)} KiB` : `${Math.round(kibibytes / 1_024)} MiB`;
}

const OWNER_LENGTH = 60;

/** The owner on one line of at most 60 characters. */
function shortened(owner: string): string {
  const line = /^[\p{L}\p{N}\p{S}\p{P}]+$/u.test(owner) ? owner : JSON.stringify(owner);
  return line.length <= OWNER_LENGTH ? line : `${line.slice(0, OWNER_LENGTH - 1)}…`;
}

const SKIPPED_SHOWN = 100;
const DIGEST_SHOWN = 12;

/** What was left out and why, where each member went, and a few sample lanes. No content. */
export function importSection(service: string, imported: Imported): Section {
  const { digest, skipped = [], mapping = [], not_mapped: unmapped = [], samples = [] } = imported;
  const none = { empty: 'none' };
  const left = tableOf(
    skipped.slice(0, SKIPPED_SHOWN),
    [
      words('left out', ({ owner }) => shortened(owner)),
      counts('items', ({ items = null }) => items),
      words('reason', ({ reason }) => reason),
    ],
    none,
  );
  const more = skipped.length - SKIPPED_SHOWN;
  const went = tableOf(mapping, [words('from', ({ from }) => code(from)), words('to', ({ to }) => to)], none);
  const missing = tableOf(
    unmapped,
    [words('what', ({ what }) => what), words('reason', ({ reason }) => reason)],
    none,
  );
  const sampled = tableOf(
    samples,
    [
      words('lane', ({ owner = '' }) => shortened(owner)),
      counts('items', ({ items = 0 }) => items),
      column('digest', ({ digest: of = '' }) => code(of.slice(0, DIGEST_SHOWN))),
      words('first item', ({ first_item: first = {} }) =>
        Object.entries(first)
          .map(([name, shape]) => `${name} ${String(shape)}`)
          .join(', '),
      ),
    ],
    none,
  );
  const folded = (title: string, table: typeof went): Block[] =>
    table.rows.length === 0 ? [] : [{ kind: 'more', title, blocks: [table] }];
  return section(
    service,
    ...(digest === undefined ? [] : [remark('Digest of all lanes: ', code(digest))]),
    ...(skipped.length === 0 ? [] : [left]),
    ...(more > 0 ? [remark(`and ${more} more: crossfade runs show --json lists all`)] : []),
    ...folded('How members were mapped', went),
    ...folded('Not mapped', missing),
    ...folded('Samples', sampled),
  );
}
