import { encodeJson, isJsonObject, Json, parseTolerantly, rawMembers } from '../domain/json.ts';
import type { LegacyItem, StoredMemory } from '../domain/service-definition.ts';

/*
 * The agents' own metadata lives in `content.metadata`. Keys that begin with `legacy_` are the migration's there, so what is no
 * object, or has such a key itself, is put whole under `legacy_value`.
 */
const VALUE = 'legacy_value';
const TIMESTAMP = 'legacy_timestamp';
const OURS = 'legacy_';

/** The value of `content.metadata` for an agent's metadata (JSON text), with the time that a copy found. */
export function wrapMetadata(raw: string | undefined, timestamp?: string): Readonly<Record<string, unknown>> {
  const own = raw === undefined ? {} : membersOf(raw);
  return timestamp === undefined ? own : { ...own, [TIMESTAMP]: timestamp };
}

function membersOf(raw: string): Readonly<Record<string, unknown>> {
  if (!isJsonObject(parseTolerantly(raw))) return { [VALUE]: new Json(raw) };
  const members = Object.entries(rawMembers(raw));
  if (members.some(([key]) => key.startsWith(OURS))) return { [VALUE]: new Json(raw) };
  return Object.fromEntries(members.map(([key, text]) => [key, new Json(text)]));
}

/** The agent's metadata as JSON text. Undefined if there was none (or an empty object). */
export function unwrapMetadata(raw: string | undefined): string | undefined {
  if (raw === undefined || !raw.startsWith('{')) return undefined;
  const { [VALUE]: value, [TIMESTAMP]: timestamp, ...own } = rawMembers(raw);
  if (value !== undefined) return value;
  if (Object.keys(own).length === 0) return undefined;
  if (timestamp === undefined) return raw;
  return textOfMembers(own);
}

/** The time of an item in its service's own spelling, if a copy kept it. */
export function legacyTimestampOf(metadata: unknown): string | undefined {
  const timestamp = isJsonObject(metadata) ? metadata[TIMESTAMP] : undefined;
  return typeof timestamp === 'string' ? timestamp : undefined;
}

/** The orchestrator refuses longer contents. */
const CONTENT_BYTES = 1024 * 1024;

/** The `update` payload that gives an item legacy's time. Undefined if it has that time, or has no room for it. */
export function retime(
  { content }: StoredMemory,
  { timestamp, at, isTimeUnknown }: LegacyItem,
): Readonly<Record<string, unknown>> | undefined {
  const members = rawMembers(content);
  const { metadata = '{}' } = members;
  if (isTimeUnknown === true || !metadata.startsWith('{')) return undefined;
  const own = rawMembers(metadata);
  const spelled = JSON.stringify(timestamp);
  if (own[TIMESTAMP] === spelled) return undefined;
  const timed = textOfMembers({ ...members, metadata: textOfMembers({ ...own, [TIMESTAMP]: spelled }) });
  if (Buffer.byteLength(timed) > CONTENT_BYTES) return undefined;
  return { content: new Json(timed), created_at: at, escape_unstorable: true };
}

/** The text of an object, from its members' texts. */
export function textOfMembers(members: Readonly<Record<string, string>>): string {
  return encodeJson(Object.fromEntries(Object.entries(members).map(([key, raw]) => [key, new Json(raw)])));
}
