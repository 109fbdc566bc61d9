import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/*
 * A sentence model small enough to be written by hand: one ONNX node that looks up the row of each word. Its protocol buffer is made
 * of fields, each a tag (number × 8 + kind) and a value: a number, or bytes behind their length.
 */
const WORDS = ['[PAD]', '[UNK]', 'bicycle', 'bike', 'paris', 'france', 'dog', 'cat'];
/** Words that mean the same have rows that are near each other. */
const ROWS = [
  [0.1, 0.1, 0.1, 0.1],
  [0.1, 0.1, 0.1, 0.1],
  [1, 0, 0, 0],
  [0.9, 0.1, 0, 0],
  [0, 1, 0, 0],
  [0, 0.9, 0.1, 0],
  [0, 0, 1, 0],
  [0, 0, 0.8, 0.2],
];

export const ONNX_DIMENSION = 4;

const FLOAT = 1;
const INT64 = 7;

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

const number = (field: number, value: number): Buffer =>
  Buffer.from([...varint(field * 8), ...varint(value)]);

function bytes(field: number, value: Uint8Array | string): Buffer {
  const content = Buffer.from(value);
  return Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(content.length)]), content]);
}

const message = (...fields: Buffer[]): Buffer => Buffer.concat(fields);

function tensorInfo(name: string, element: number, dimensions: readonly (string | number)[]): Buffer {
  const shape = dimensions.map((size) =>
    bytes(1, typeof size === 'number' ? number(1, size) : bytes(2, size)),
  );
  const tensor = message(number(1, element), bytes(2, message(...shape)));
  return message(bytes(1, name), bytes(2, bytes(1, tensor)));
}

function onnxModel(): Buffer {
  const weights = message(
    number(1, ROWS.length),
    number(1, ONNX_DIMENSION),
    number(2, FLOAT),
    bytes(8, 'rows'),
    bytes(9, Buffer.from(new Float32Array(ROWS.flat()).buffer)),
  );
  const gather = message(
    bytes(1, 'rows'),
    bytes(1, 'input_ids'),
    bytes(2, 'last_hidden_state'),
    bytes(3, 'lookup'),
    bytes(4, 'Gather'),
  );
  const graph = message(
    bytes(1, gather),
    bytes(2, 'sentences'),
    bytes(5, weights),
    bytes(11, tensorInfo('input_ids', INT64, ['batch', 'length'])),
    bytes(11, tensorInfo('attention_mask', INT64, ['batch', 'length'])),
    bytes(12, tensorInfo('last_hidden_state', FLOAT, ['batch', 'length', ONNX_DIMENSION])),
  );
  return message(number(1, 8), bytes(7, graph), bytes(8, number(2, 13)));
}

/** Writes the model as the Hugging Face hub lays one out. */
export async function writeOnnxModel(folder: string): Promise<void> {
  const vocab = Object.fromEntries(WORDS.map((word, index) => [word, index]));
  const special = (content: string, id: number) => ({
    ...{ id, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
  });
  const files = {
    'config.json': { model_type: 'bert', hidden_size: ONNX_DIMENSION },
    'tokenizer_config.json': {
      tokenizer_class: 'BertTokenizer',
      model_max_length: 64,
      pad_token: '[PAD]',
      unk_token: '[UNK]',
    },
    'tokenizer.json': {
      version: '1.0',
      added_tokens: [special('[PAD]', 0), special('[UNK]', 1)],
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: null,
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab,
      },
    },
  };
  await mkdir(join(folder, 'onnx'), { recursive: true });
  for (const [name, content] of Object.entries(files))
    await writeFile(join(folder, name), JSON.stringify(content));
  await writeFile(join(folder, 'onnx/model.onnx'), onnxModel());
}
