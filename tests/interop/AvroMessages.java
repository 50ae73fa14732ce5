import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.io.JsonEncoder;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.avro.message.BinaryMessageEncoder;

/**
 * Reads and writes single-object encoding, a line at a time: `decode SCHEMA BASE64` answers with Avro's JSON,
 * `encode SCHEMA JSON` with base64. SCHEMA is a file; a schema of Avro's own reading, which knows nothing of logfold.
 */
public class AvroMessages {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Map<String, Schema> schemas = new HashMap<>();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] asked = line.split("\t", 3);
            if (!schemas.containsKey(asked[1])) {
                schemas.put(asked[1], new Schema.Parser().parse(new File(asked[1])));
            }
            Schema schema = schemas.get(asked[1]);
            String answer = asked[0].equals("decode") ? decoded(schema, asked[2]) : encoded(schema, asked[2]);
            System.out.write((answer + "\n").getBytes(StandardCharsets.UTF_8));
        }
        System.out.flush();
    }

    private static String decoded(Schema schema, String text) throws Exception {
        BinaryMessageDecoder<GenericRecord> decoder = new BinaryMessageDecoder<>(GenericData.get(), schema);
        GenericRecord record = decoder.decode(Base64.getDecoder().decode(text));
        ByteArrayOutputStream json = new ByteArrayOutputStream();
        JsonEncoder encoder = EncoderFactory.get().jsonEncoder(schema, json);
        new GenericDatumWriter<GenericRecord>(schema).write(record, encoder);
        encoder.flush();
        return json.toString(StandardCharsets.UTF_8);
    }

    private static String encoded(Schema schema, String json) throws Exception {
        GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(schema);
        GenericRecord record = reader.read(null, DecoderFactory.get().jsonDecoder(schema, json));
        byte[] bytes = new BinaryMessageEncoder<GenericRecord>(GenericData.get(), schema).encode(record).array();
        return Base64.getEncoder().encodeToString(bytes);
    }
}
