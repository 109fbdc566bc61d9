import { createHash } from 'node:crypto';
import type { BaselineItem } from '../engine/ports/lane-history.ts';

const DIGEST_BYTES = 16;
const ENTRY_BYTES = DIGEST_BYTES + 8;

/** A list as stored in `lane_baselines`. */
export interface BaselineRow {
  readonly items: number;
  /** Digest of the entries, 32 hexadecimal digits. */
  readonly digest: string;
  /** In base64. */
  readonly entries: string;
}

/** Follows an insert into `lane_baselines as b`. An older list replaces nothing, and known equal states stay. */
export const REPLACE_BASELINE = `
on conflict (lane_id) do update set
  sequence = excluded.sequence, items = excluded.items, digest = excluded.digest, entries = excluded.entries,
  equal_legacy = coalesce(excluded.equal_legacy, b.equal_legacy),
  equal_orchestrator = coalesce(excluded.equal_orchestrator, b.equal_orchestrator),
  at = case when (b.sequence, b.digest) is distinct from (excluded.sequence, excluded.digest) then now() else b.at end
where b.sequence <= excluded.sequence and ((b.sequence, b.digest) is distinct from (excluded.sequence, excluded.digest)
  or (b.equal_legacy, b.equal_orchestrator) is distinct from
    (coalesce(excluded.equal_legacy, b.equal_legacy), coalesce(excluded.equal_orchestrator, b.equal_orchestrator)))`;

export function packBaseline(items: readonly BaselineItem[]): BaselineRow {
  const bytes = Buffer.alloc(items.length * ENTRY_BYTES);
  for (const [index, { digest, atMs }] of items.entries()) {
    bytes.write(digest, index * ENTRY_BYTES, 'hex');
    bytes.writeDoubleBE(atMs, index * ENTRY_BYTES + DIGEST_BYTES);
  }
  const digest = createHash('sha256').update(bytes).digest('hex');
  return {
    items: items.length,
    digest: digest.slice(0, 2 * DIGEST_BYTES),
    entries: bytes.toString('base64'),
  };
}

/** Decodes the entries of a row. */
export function unpackBaseline(entries: string): BaselineItem[] {
  const bytes = Buffer.from(entries, 'base64');
  return Array.from({ length: bytes.length / ENTRY_BYTES }, (_, index) => {
    const at = index * ENTRY_BYTES;
    return {
      digest: bytes.toString('hex', at, at + DIGEST_BYTES),
      atMs: bytes.readDoubleBE(at + DIGEST_BYTES),
    };
  });
}
