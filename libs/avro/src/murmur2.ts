const seed = 0x97_47_b2_8c;
const multiplier = 0x5b_d1_e9_95;

/** Kafka's 32-bit murmur2, signed as in Java (`org.apache.kafka.common.utils.Utils.murmur2`). */
export function murmur2(data: Uint8Array, start = 0, end = data.length): number {
  const length = end - start;
  let hash = seed ^ length;
  const tail = start + (length & ~3);
  for (let i = start; i < tail; i += 4) {
    let k = word(data, i);
    k = Math.imul(k, multiplier);
    k ^= k >>> 24;
    k = Math.imul(k, multiplier);
    hash = Math.imul(hash, multiplier) ^ k;
  }
  const rest = length & 3;
  if (rest > 0) {
    if (rest === 3) hash ^= byte(data, tail + 2) << 16;
    if (rest >= 2) hash ^= byte(data, tail + 1) << 8;
    hash = Math.imul(hash ^ byte(data, tail), multiplier);
  }
  hash ^= hash >>> 13;
  hash = Math.imul(hash, multiplier);
  return hash ^ (hash >>> 15);
}

function byte(data: Uint8Array, at: number): number {
  return data[at] as number;
}

function word(data: Uint8Array, at: number): number {
  return byte(data, at) | (byte(data, at + 1) << 8) | (byte(data, at + 2) << 16) | (byte(data, at + 3) << 24);
}
