import { createHash } from 'node:crypto';
import type { ServiceDefinition } from '../../domain/service-definition.ts';

const DIGEST_CHARACTERS = 16;

/**
 * A digest of everything that decides what two answers look like and how they are judged: mappings, rules, retention. Evidence
 * gathered under another digest proves nothing. Functions count by their source. The functions that they call belong to the
 * proxy, so a new version of the proxy changes every digest.
 */
export function definitionDigest(definition: ServiceDefinition, version: string): string {
  const text = JSON.stringify([version, definition.actions, definition.lanes], (_key, value: unknown) =>
    typeof value === 'function' ? String(value) : value,
  );
  return createHash('sha256').update(text).digest('hex').slice(0, DIGEST_CHARACTERS);
}
