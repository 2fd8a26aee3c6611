import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigDecimal;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads whole topics with Kafka's and Avro's own libraries: the same question and the same answer, as JSON on standard
 * input and output, as read-topics.py.
 */
class ReadTopics {
  private static final ObjectMapper json = new ObjectMapper();
  private static final HttpClient http = HttpClient.newHttpClient();
  private static final GenericData data = new GenericData();
  private static final Map<Integer, Schema> schemas = new TreeMap<>();

  public static void main(String[] args) throws Exception {
    data.addLogicalTypeConversion(new Conversions.DecimalConversion());
    JsonNode wanted = json.readTree(System.in);
    String registry = wanted.get("registry").asText();
    Properties settings = new Properties();
    settings.put("bootstrap.servers", wanted.get("brokers").asText());
    settings.put("isolation.level", wanted.get("isolation").asText());
    settings.put("enable.auto.commit", "false");
    settings.put("key.deserializer", ByteArrayDeserializer.class);
    settings.put("value.deserializer", ByteArrayDeserializer.class);
    Map<String, List<Object>> found = new TreeMap<>();
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
      List<TopicPartition> places = new ArrayList<>();
      for (JsonNode topic : wanted.get("topics")) {
        consumer.partitionsFor(topic.asText()).forEach(one -> places.add(new TopicPartition(one.topic(), one.partition())));
      }
      consumer.assign(places);
      consumer.seekToBeginning(places);
      Map<TopicPartition, Long> ends = consumer.endOffsets(places);
      long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (!places.stream().allMatch(place -> consumer.position(place) >= ends.get(place))) {
        if (System.nanoTime() > deadline) throw new IllegalStateException("the topics do not come to their end");
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          String place = String.format("%s %09d", record.topic(), record.partition());
          found.computeIfAbsent(place, name -> new ArrayList<>()).add(read(record, registry));
        }
      }
    }
    json.writeValue(System.out, found.values().stream().flatMap(Collection::stream).toList());
  }

  private static Map<String, Object> read(ConsumerRecord<byte[], byte[]> record, String registry) throws Exception {
    Map<String, Object> headers = new LinkedHashMap<>();
    record.headers().forEach(one -> headers.put(one.key(), new String(one.value(), StandardCharsets.UTF_8)));
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("topic", record.topic());
    answer.put("partition", record.partition());
    answer.put("key", decoded(record.key(), registry));
    answer.put("value", decoded(record.value(), registry));
    answer.put("headers", headers);
    return answer;
  }

  private static Map<String, Object> decoded(byte[] bytes, String registry) throws Exception {
    if (bytes == null) return null;
    if (bytes[0] != 0) throw new IllegalStateException("a record starts with the magic byte");
    int id = ByteBuffer.wrap(bytes).getInt(1);
    if (!schemas.containsKey(id)) schemas.put(id, schema(registry, id));
    BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(bytes, 5, bytes.length - 5, null);
    Schema schema = schemas.get(id);
    Object datum = new GenericDatumReader<Object>(schema, schema, data).read(null, decoder);
    if (!decoder.isEnd()) throw new IllegalStateException("a record holds one datum and nothing else");
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("id", id);
    answer.put("datum", tagged(datum));
    return answer;
  }

  private static Schema schema(String registry, int id) throws Exception {
    HttpRequest question = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build();
    HttpResponse<String> answer = http.send(question, HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() != 200) throw new IllegalStateException("the registry does not have schema " + id);
    return new Schema.Parser().parse(json.readTree(answer.body()).get("schema").asText());
  }

  private static Object tagged(Object value) {
    if (value == null || value instanceof Boolean) return value;
    if (value instanceof Integer || value instanceof Long) return Map.of("int", value.toString());
    if (value instanceof Float || value instanceof Double) return Map.of("float", floating(((Number) value).doubleValue()));
    if (value instanceof BigDecimal decimal) return Map.of("decimal", decimal.toPlainString());
    if (value instanceof ByteBuffer buffer) {
      byte[] bytes = new byte[buffer.remaining()];
      buffer.duplicate().get(bytes);
      return Map.of("bytes", HexFormat.of().formatHex(bytes));
    }
    if (value instanceof CharSequence) return value.toString();
    if (value instanceof Collection<?> items) {
      List<Object> answer = new ArrayList<>();
      for (Object item : items) answer.add(tagged(item));
      return answer;
    }
    IndexedRecord record = (IndexedRecord) value;
    Map<String, Object> answer = new LinkedHashMap<>();
    for (Schema.Field field : record.getSchema().getFields()) answer.put(field.name(), tagged(record.get(field.pos())));
    return answer;
  }

  private static String floating(double value) {
    if (Double.isNaN(value)) return "nan";
    return HexFormat.of().toHexDigits(Double.doubleToRawLongBits(value));
  }
}
