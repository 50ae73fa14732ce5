import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
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
 * `encode SCHEMA JSON` with base64. SCHEMA is a file, or the newest version's and those of older ones, with commas between.
 */
public class AvroMessages {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Map<String, Schema> schemas = new HashMap<>();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] asked = line.split("\t", 3);
            List<Schema> versions = new ArrayList<>();
            for (String file : asked[1].split(",")) {
                if (!schemas.containsKey(file)) {
                    schemas.put(file, new Schema.Parser().parse(new File(file)));
                }
                versions.add(schemas.get(file));
            }
            String answer = asked[0].equals("decode") ? decoded(versions, asked[2]) : encoded(versions.get(0), asked[2]);
            System.out.write((answer + "\n").getBytes(StandardCharsets.UTF_8));
        }
        System.out.flush();
    }

    private static String decoded(List<Schema> versions, String text) throws Exception {
        Schema schema = versions.get(0);
        BinaryMessageDecoder<GenericRecord> decoder = new BinaryMessageDecoder<>(GenericData.get(), schema);
        versions.forEach(decoder::addSchema);
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
