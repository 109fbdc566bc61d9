import { concernsOf, type ShownSurvey } from '../operator/words.ts';
import { counted } from '../operator/views/figures.ts';
import { table } from '../operator/views/terminal.ts';

/** What was imported of a service, in the proxy's document. */
interface ImportedService {
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

const SKIPPED_SHOWN = 50;
const OWNER_LENGTH = 60;

/** What legacy holds, read before anything is written. */
export function showSurvey(survey: Readonly<Record<string, ShownSurvey>>): string {
  return Object.entries(survey)
    .map(([service, found]) => surveyed(service, found).join('\n'))
    .join('\n');
}

function surveyed(service: string, found: ShownSurvey): string[] {
  if ('not_listed' in found) return [service, `  left out: ${found.not_listed}`];
  const { lanes = 0, items, content_bytes: bytes, newest_at: newest, to_embed: embed } = found;
  const from = found.owners_from === 'journal' ? ' (listed from the journal)' : '';
  if (items === undefined) return [service, `  ${counted(lanes, 'lane')}${from}`];
  const age = newest === null || newest === undefined ? '' : `, the newest of ${newest}`;
  const concerns = concernsOf(found);
  return [
    service,
    `  ${counted(lanes, 'lane')}${from}, ${counted(items, 'item')}, ${size(bytes ?? 0)}${age}`,
    ...(embed === undefined ? [] : [`  ${counted(embed.items, 'item')} to embed: ${embedding(embed)}`]),
    ...concerns.map(({ words, count, owners }) =>
      [
        `  ! ${count} × ${words}`,
        ...(owners.length === 0 ? [] : [`      ${owners.map(shortened).join(', ')}`]),
      ].join('\n'),
    ),
    ...(concerns.length === 0 ? ['  no problems found'] : []),
  ];
}

function embedding({
  seconds_with_the_built_in_model: seconds,
}: {
  seconds_with_the_built_in_model: number;
}) {
  return `about ${seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`} with the built-in model`;
}

function size(bytes: number): string {
  if (bytes < 10_240) return `${bytes} bytes`;
  const kibibytes = bytes / 1_024;
  return kibibytes < 10_240 ? `${Math.round(kibibytes)} KiB` : `${Math.round(kibibytes / 1_024)} MiB`;
}

/** The owner on one line of at most 60 characters. */
function shortened(owner: string): string {
  const line = /^[\p{L}\p{N}\p{S}\p{P}]+$/u.test(owner) ? owner : JSON.stringify(owner);
  return line.length <= OWNER_LENGTH ? line : `${line.slice(0, OWNER_LENGTH - 1)}…`;
}

/** What was imported, what was left out and why, where each member went, and a few sample lanes. No content. */
export function showImport(services: Readonly<Record<string, ImportedService>>): string {
  return Object.entries(services)
    .map(([service, imported]) => documented(service, imported).join('\n'))
    .join('\n\n');
}

function documented(service: string, imported: ImportedService): string[] {
  const { digest = '', skipped = [], mapping = [], not_mapped: unmapped = [], samples = [] } = imported;
  const section = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : [`  ${title}`, ...lines.map((line) => `    ${line}`)];
  const left = skipped
    .slice(0, SKIPPED_SHOWN)
    .map(
      ({ owner, reason, items }) =>
        `${shortened(owner)}: ${items === undefined ? '' : `${counted(items, 'item')}, `}${reason}`,
    );
  const more =
    skipped.length > SKIPPED_SHOWN ? [`and ${skipped.length - SKIPPED_SHOWN} more: --json shows all`] : [];
  return [
    `${service}, digest ${digest}`,
    ...section('left out', [...left, ...more]),
    ...section(
      'where it went',
      mapping.map(({ from, to }) => `${from} → ${to}`),
    ),
    ...section(
      'not mapped',
      unmapped.map(({ what, reason }) => `${what}: ${reason}`),
    ),
    ...section('samples', samples.length === 0 ? [] : sampled(samples)),
  ];
}

function sampled(samples: NonNullable<ImportedService['samples']>): string[] {
  const rows = samples.map(({ owner = '', items = 0, digest = '', first_item: first = {} }) => [
    shortened(owner),
    String(items),
    digest.slice(0, 12),
    Object.entries(first)
      .map(([name, shape]) => `${name} ${String(shape)}`)
      .join(', '),
  ]);
  return table(['lane', 'items', 'digest', 'first item'], rows).split('\n');
}
