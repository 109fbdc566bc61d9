import type { LaneKey, ServiceName } from './ids.ts';

/** The group of a service's `read-cutover` and `write-cutover`: flags of one group move the same lanes first. */
export function cutoverGroup(service: ServiceName): string {
  return `crossfade.${service}.cutover`;
}

const BUCKETS = 100;

/**
 * The place of a lane in the order in which a rising share takes the lanes of its service, 1 to 100. A share of n percent has the lanes of
 * the first n buckets. It is the place that Unleash gives the lane in the group of both cutovers, so that its writes follow its reads.
 */
export function cutoverBucket(service: ServiceName, lane: LaneKey): number {
  return (murmur3(`${cutoverGroup(service)}:${lane}`) % BUCKETS) + 1;
}

/** MurmurHash3 (x86, 32 bits, seed 0) of the lower bytes of the text's code units, as Unleash's library takes them. */
function murmur3(text: string): number {
  const tail = text.length % 4;
  let hash = 0;
  for (let at = 0; at < text.length - tail; at += 4) {
    hash ^= scrambled(wordAt(text, at, 4));
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64;
  }
  if (tail > 0) hash ^= scrambled(wordAt(text, text.length - tail, tail));
  hash ^= text.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scrambled(word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

function wordAt(text: string, at: number, bytes: number): number {
  let word = 0;
  for (let byte = 0; byte < bytes; byte += 1) word |= (text.charCodeAt(at + byte) & 0xff) << (8 * byte);
  return word;
}
