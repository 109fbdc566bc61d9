import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

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

/** Reads dialogues, one JSON object a line; the project's own small set without a file. */
export async function readDialogues(
  file: string = OWN,
  limit = Number.POSITIVE_INFINITY,
): Promise<Dialogue[]> {
  const dialogues: Dialogue[] = [];
  const lines = createInterface({ input: createReadStream(file) });
  for await (const line of lines) {
    if (line.trim() === '') continue;
    if (dialogues.length >= limit) break;
    const { conversation_id, vertical, scenario, turns } = JSON.parse(line) as Line;
    dialogues.push({ id: conversation_id, vertical, scenario, turns });
  }
  return dialogues;
}
