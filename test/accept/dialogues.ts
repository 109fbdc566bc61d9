import { once } from 'node:events';
import { createReadStream, type ReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../src/domain/errors.ts';

export interface Turn {
  readonly speaker: 'user' | 'assistant';
  readonly text: string;
}

export interface Dialogue {
  readonly id: string;
  readonly vertical: string;
  readonly scenario: string;
  readonly turns: readonly Turn[];
}

const OWN = fileURLToPath(new URL('dialogues.jsonl', import.meta.url));

interface Line {
  readonly conversation_id: string;
  readonly vertical: string;
  readonly scenario: string;
  readonly turns: readonly Turn[];
}

/**
 * Reads dialogues, one JSON object a line; the project's own small set without a file.
 * @throws Error naming the file, and the line that is none
 */
export async function readDialogues(
  file: string = OWN,
  limit = Number.POSITIVE_INFINITY,
): Promise<Dialogue[]> {
  const dialogues: Dialogue[] = [];
  const stream = await open(file);
  let number = 0;
  for await (const line of createInterface({ input: stream })) {
    number += 1;
    if (line.trim() === '') continue;
    if (dialogues.length >= limit) break;
    dialogues.push(parseDialogue(line, `${file}:${number}`));
  }
  if (dialogues.length === 0) throw new Error(`${file} holds no dialogue`);
  return dialogues;
}

/** A stream that is open: reading one that is not fails beside the reader, where nobody catches it. */
async function open(file: string): Promise<ReadStream> {
  const stream = createReadStream(file);
  await once(stream, 'open').catch((cause: unknown) => {
    throw new Error(`the dialogues cannot be read: ${messageOf(cause)}`, { cause });
  });
  return stream;
}

function parseDialogue(text: string, at: string): Dialogue {
  const { conversation_id: id, vertical, scenario, turns } = parseLine(text, at);
  if (typeof id !== 'string' || !Array.isArray(turns))
    throw new Error(`${at} is no dialogue: it needs conversation_id and turns`);
  return { id, vertical, scenario, turns };
}

function parseLine(text: string, at: string): Line {
  try {
    return JSON.parse(text) as Line;
  } catch (cause) {
    throw new Error(`${at} is not JSON`, { cause });
  }
}
