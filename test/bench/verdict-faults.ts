import { WEIGHT_TOLERANCE } from './verdict-measured.ts';

/** An item as the orchestrator's answer to `batch_read` shows it, and as a `create` writes it. */
export interface Item {
  readonly content?: Readonly<Record<string, unknown>>;
  readonly created_at?: string;
  readonly tags?: readonly string[];
  readonly [member: string]: unknown;
}

/** Undefined where there is nothing to break: nothing was injected then. */
type SpoilAnswer = (items: readonly Item[]) => readonly Item[] | undefined;

/** The payload of a write that is delivered; `lost` where it never arrives, undefined where it passes as it is. */
type SpoilWrite = (payload: Item) => Item | 'lost' | undefined;

type Way =
  | { readonly way: 'answer'; readonly spoil: SpoilAnswer }
  | { readonly way: 'store'; readonly action: 'create' | 'bulk_delete'; readonly spoil: SpoilWrite }
  | { readonly way: 'error' }
  | { readonly way: 'delay'; readonly ms: number };

export type BenchService =
  | 'session-memory'
  | 'contextual-memory'
  | 'jarvis-memory'
  | 'ranked-memory'
  | 'measured-memory'
  | 'expiring-memory';

/** One class of what is broken on purpose. */
export type Fault = Way & {
  readonly service: BenchService;
  /** A harmless one must not be counted as a mismatch. */
  readonly truth: 'fault' | 'harmless';
  /** Reads come from the orchestrator: only what agents wait for can fail them, or be late. @defaultValue false */
  readonly isCutOver?: true;
  /** The lane is cleared after its first turns. @defaultValue false */
  readonly isCleared?: true;
  /** The service reads an owner in several requests: only the answer to the request for this tag is broken. @defaultValue every answer */
  readonly tag?: string;
  /** What the guard has to trip by. Each comparison of `deleted_item_seen` has to say so too. @defaultValue any trigger, and a mismatch */
  readonly trigger?: 'deleted_item_seen' | 'latency';
};

/** Newest first, as session-memory's reads ask for them: the last written is left out, as an answer from before it. */
const stale: SpoilAnswer = (items) => (items.length < 2 ? undefined : items.slice(1));

/** A third of the writes: which, their ids decide. */
const loseSome: SpoilWrite = ({ memory_id: id }) =>
  Number.parseInt(String(id).slice(-2), 16) % 3 === 0 ? 'lost' : undefined;

const inFirst =
  (change: (item: Item) => Item): SpoilAnswer =>
  ([first, ...others]) =>
    first === undefined ? undefined : [change(first), ...others];

const withText = (item: Item, change: (text: string) => string): Item => ({
  ...item,
  content: { ...item.content, text: change(String(item.content?.['text'])) },
});

/** In the memory itself and wherever it is spelt: what is read is `memory`. */
function inWeight(change: (weight: number) => unknown): SpoilAnswer {
  return (items) => {
    const at = items.findIndex(({ content }) => weightOf(content) !== undefined);
    const found = items[at];
    const weight = weightOf(found?.content);
    if (found === undefined || weight === undefined) return undefined;
    const memory = { ...(found.content?.['memory'] as object), weight: change(weight) };
    return items.with(at, { ...found, content: { ...found.content, memory } });
  };
}

function weightOf(content: Item['content']): number | undefined {
  const weight = (content?.['memory'] as { weight?: unknown } | undefined)?.weight;
  return typeof weight === 'number' ? weight : undefined;
}

const swapped =
  (from: number): SpoilAnswer =>
  (items) => {
    const [left, right] = [items.at(from), items.at(from + 1)];
    if (items.length < Math.abs(from) || left === undefined || right === undefined) return undefined;
    const at = from < 0 ? items.length + from : from;
    return items.with(at, right).with(at + 1, left);
  };

/** Shorter lists are alike enough in any order. */
const RANKED = 8;
const SKEW_SECONDS = 30;

const later = (item: Item): Item => ({
  ...item,
  created_at: new Date(Date.parse(String(item.created_at)) + SKEW_SECONDS * 1_000).toISOString(),
});

const [session, contextual, jarvis, ranked, measured, expiring] = [
  { service: 'session-memory' },
  { service: 'contextual-memory', tag: 'decision' },
  { service: 'jarvis-memory' },
  { service: 'ranked-memory' },
  { service: 'measured-memory' },
  { service: 'expiring-memory' },
] as const;
const [fault, harmless] = [{ truth: 'fault' }, { truth: 'harmless' }] as const;
/** Answers that agents get in time, more than 100 ms later than legacy's. */
const slow = { way: 'delay', isCutOver: true, trigger: 'latency' } as const;

/** Each class, where it is injected and what it does there. */
export const FAULTS = {
  'lost-write': { ...session, ...fault, way: 'store', action: 'create', spoil: loseSome },
  'deleted-item-returned': {
    ...session,
    ...fault,
    way: 'store',
    action: 'bulk_delete',
    spoil: () => 'lost',
    isCleared: true,
    trigger: 'deleted_item_seen',
  },
  'altered-text': {
    ...session,
    ...fault,
    way: 'answer',
    spoil: inFirst((item) => withText(item, (text) => `${text}.`)),
  },
  'number-beyond-tolerance': {
    ...measured,
    ...fault,
    way: 'answer',
    spoil: inWeight((weight) => weight + WEIGHT_TOLERANCE * 1.5),
  },
  'number-within-tolerance': {
    ...measured,
    ...harmless,
    way: 'answer',
    spoil: inWeight((weight) => weight + WEIGHT_TOLERANCE / 2),
  },
  'swapped-order': { ...session, ...fault, way: 'answer', spoil: swapped(0) },
  'missing-tag': {
    ...measured,
    ...fault,
    way: 'store',
    action: 'create',
    spoil: (payload) => ({ ...payload, tags: [] }),
  },
  'wrong-type': { ...measured, ...fault, way: 'answer', spoil: inWeight((weight) => String(weight)) },
  'extra-item': {
    ...session,
    ...fault,
    way: 'answer',
    spoil: ([first, ...others]) =>
      first === undefined ? undefined : [first, withText(first, () => 'nobody said this'), ...others],
  },
  'stale-answer': { ...session, ...fault, way: 'answer', spoil: stale },
  'empty-answer': {
    ...session,
    ...fault,
    way: 'answer',
    spoil: (items) => (items.length === 0 ? undefined : []),
  },
  // Before what opens the orchestrator's breaker.
  'slow-answer-120-ms': { ...session, ...fault, ...slow, ms: 120 },
  'slow-answer-200-ms': { ...session, ...fault, ...slow, ms: 200 },
  'error-answer': { ...session, ...fault, way: 'error', isCutOver: true },
  // Longer than a cut-over read waits: a failure.
  'slow-answer': { ...session, ...fault, way: 'delay', ms: 400, isCutOver: true },
  'contextual-altered-text': {
    ...contextual,
    ...fault,
    way: 'answer',
    spoil: inFirst((item) => withText(item, (text) => `${text}.`)),
  },
  'contextual-lost-write': { ...contextual, ...fault, way: 'store', action: 'create', spoil: loseSome },
  'jarvis-altered-number': {
    ...jarvis,
    ...fault,
    way: 'answer',
    spoil: inWeight((weight) => weight + 1),
  },
  'jarvis-lost-write': { ...jarvis, ...fault, way: 'store', action: 'create', spoil: loseSome },
  'ranking-shuffled': {
    ...ranked,
    ...fault,
    way: 'answer',
    spoil: (items) => (items.length < RANKED ? undefined : items.toReversed()),
  },
  'ranking-slightly-changed': {
    ...ranked,
    ...harmless,
    way: 'answer',
    spoil: (items) => (items.length < RANKED ? undefined : swapped(-2)(items)),
  },
  'clock-skew': { ...session, ...fault, way: 'answer', spoil: inFirst(later) },
  // The orchestrator has let go of a user at the end of the idle time, which legacy is about to do.
  'expiry-skew': {
    ...expiring,
    ...harmless,
    way: 'answer',
    spoil: (items) => (items.length === 0 ? undefined : []),
  },
} as const satisfies Readonly<Record<string, Fault>>;

export type FaultClass = keyof typeof FAULTS;
