const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';
const RADIX = 85;
const WORD_BYTES = 4;
const WORD_CHARACTERS = 5;

/** ZeroMQ's text form of a CURVE key: 40 characters for 32 bytes. @param bytes a multiple of four */
export function encodeZ85(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes);
  let text = '';
  for (let at = 0; at + WORD_BYTES <= buffer.length; at += WORD_BYTES) {
    let word = buffer.readUInt32BE(at);
    let characters = '';
    for (let place = 0; place < WORD_CHARACTERS; place += 1) {
      characters = (ALPHABET[word % RADIX] ?? '') + characters;
      word = Math.floor(word / RADIX);
    }
    text += characters;
  }
  return text;
}

const CURVE_KEY = /^[0-9a-zA-Z.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/;

export function isCurveKey(text: string): boolean {
  return CURVE_KEY.test(text);
}
