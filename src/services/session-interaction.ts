import { isJsonObject, Json, parseTolerantly } from '../domain/json.ts';
import type { StoredMemory } from '../domain/service-definition.ts';
import { unwrapMetadata, wrapMetadata } from './legacy-metadata.ts';
import { tagsOf } from './memory-tags.ts';
import { respell } from './python-spelling.ts';
import { boundText } from './sqlite-text.ts';
import { contentOf } from './stored-items.ts';

/** One interaction, each member as JSON text. */
export interface Interaction {
  readonly role: string;
  readonly content: string;
  readonly metadata: string | undefined;
  /** The time in the store's spelling. Only copies know it. */
  readonly timestamp?: string;
}

/** The `create` payload of an interaction, without id, position and time. */
export function interactionPayload(interaction: Interaction): Readonly<Record<string, unknown>> {
  // As the store shows it, so that a copy, which knows nothing else, gives the same tag.
  const role = boundText(interaction.role);
  return {
    memory_type: 'conversation',
    content: {
      text: boundText(interaction.content) ?? '',
      // A value that is not text is kept next to the text that the store makes of it.
      value: interaction.content.startsWith('"') ? undefined : new Json(interaction.content),
      role: new Json(interaction.role),
      source_agent: 'session_memory_agent',
      metadata: wrapMetadata(interaction.metadata, interaction.timestamp),
    },
    tags: tagsOf(['conversation'], [role, ...metadataTags(interaction.metadata)]),
    create_session: true,
    suppress_events: true,
    escape_unstorable: true,
  };
}

function metadataTags(raw: string | undefined): readonly unknown[] {
  const metadata = raw === undefined ? undefined : parseTolerantly(raw);
  const tags = isJsonObject(metadata) ? metadata['tags'] : undefined;
  return Array.isArray(tags) ? tags : [];
}

/** An orchestrator item as the service's store would show it. Undefined if it is not an interaction. */
export function interactionFields(memory: StoredMemory): Readonly<Record<string, string>> | undefined {
  if (memory.memory_type !== 'conversation') return undefined;
  const { raw } = contentOf(memory);
  const { role, metadata } = raw;
  const content = raw['value'] ?? raw['text'];
  if (role === undefined || content === undefined) return undefined;
  return {
    role: storedText(role),
    content: storedText(content),
    metadata: respell(unwrapMetadata(metadata) ?? '{}'),
  };
}

function storedText(raw: string): string {
  return JSON.stringify(boundText(raw) ?? null);
}
