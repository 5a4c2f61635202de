import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.data.message.*;
import dev.langchain4j.memory.chat.MessageWindowChatMemory;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.request.*;
import dev.langchain4j.model.chat.request.json.*;
import dev.langchain4j.service.AiServices;
import com.fasterxml.jackson.databind.*;
import java.io.*;
import java.net.*;
import java.nio.file.*;
import java.util.*;
import javax.tools.ToolProvider;

/** LangChain4j over the model that `switchgear connect langchain4j` wrote into Connected.java. Scenarios stand on standard input. */
public class UseLangChain4j {
    interface Assistant {
        String chat(String text);
    }

    static class Tools {
        @Tool("Run a command.")
        public String run_shell(@dev.langchain4j.agent.tool.P("the command") String command) {
            return command.replaceFirst("^echo ", "");
        }
    }

    static String prompt(String scenario) {
        return "[[" + scenario + "]] Please do as agreed.";
    }

    public static void main(String[] given) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            JsonNode asked = mapper.readTree(line);
            try {
                run(connected(Path.of(asked.get("connected").asText())), asked.get("scenario").asText(), asked.get("picture").asText());
            } catch (Exception exception) {
                exception.printStackTrace(System.out);
            }
            System.out.println("\n[end of scenario]");
        }
    }

    static final Map<Path, ChatModel> MODELS = new HashMap<>();

    /** Compile what `connect` printed, and make its model; once for each file. */
    static ChatModel connected(Path source) throws Exception {
        if (!MODELS.containsKey(source)) MODELS.put(source, compiled(source));
        return MODELS.get(source);
    }

    static ChatModel compiled(Path source) throws Exception {
        Path to = Files.createTempDirectory("connected");
        ToolProvider.getSystemJavaCompiler().run(null, null, null, "-cp", System.getProperty("java.class.path"), "-d", to.toString(), source.toString());
        try (URLClassLoader loader = new URLClassLoader(new URL[] {to.toUri().toURL()})) {
            return (ChatModel) loader.loadClass("Connected").getMethod("model").invoke(null);
        }
    }

    static void run(ChatModel model, String scenario, String picture) throws Exception {
        if (scenario.equals("loop") || scenario.equals("second")) {
            Assistant assistant = AiServices.builder(Assistant.class).chatModel(model).tools(new Tools())
                .chatMemory(MessageWindowChatMemory.withMaxMessages(50)).build();
            System.out.println(assistant.chat(prompt("loop")));
            if (scenario.equals("second")) System.out.println(assistant.chat(prompt("second")));
        } else if (scenario.equals("schema")) {
            JsonObjectSchema schema = JsonObjectSchema.builder().addStringProperty("capital").required("capital").build();
            ResponseFormat format = ResponseFormat.builder().type(ResponseFormatType.JSON)
                .jsonSchema(JsonSchema.builder().name("answer").rootElement(schema).build()).build();
            ChatRequest request = ChatRequest.builder().messages(UserMessage.from(prompt("schema"))).responseFormat(format).build();
            System.out.println(model.chat(request).aiMessage().text());
        } else if (scenario.equals("image")) {
            String data = Base64.getEncoder().encodeToString(Files.readAllBytes(Path.of(picture)));
            UserMessage message = UserMessage.from(TextContent.from(prompt("image")), ImageContent.from(data, "image/png"));
            System.out.println(model.chat(message).aiMessage().text());
        } else {
            System.out.println(model.chat(prompt(scenario)));
        }
    }
}
