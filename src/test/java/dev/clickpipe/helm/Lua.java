package dev.clickpipe.helm;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.luaj.vm2.Globals;
import org.luaj.vm2.LoadState;
import org.luaj.vm2.LuaTable;
import org.luaj.vm2.LuaValue;
import org.luaj.vm2.compiler.LuaC;
import org.luaj.vm2.lib.PackageLib;
import org.luaj.vm2.lib.TableLib;
import org.luaj.vm2.lib.jse.JseBaseLib;
import org.luaj.vm2.lib.jse.JseOsLib;

/**
 * Lua as Argo CD runs it: a resource is the global {@code obj}, a result is returned, and there are no libraries but base,
 * package and table, and of os its time and date.
 */
final class Lua {
    private static final String OS = "os";

    private Lua() {}

    /** @param obj the resource, as JSON */
    static LuaTable run(String script, JsonNode obj) {
        var globals = new Globals();
        globals.load(new JseBaseLib());
        globals.load(new PackageLib());
        globals.load(new TableLib());
        globals.load(new JseOsLib());
        restrictOs(globals);
        LoadState.install(globals);
        LuaC.install(globals);
        globals.set("obj", value(obj));
        return globals.load(script).call().checktable();
    }

    private static void restrictOs(Globals globals) {
        var all = globals.get(OS);
        var allowed = new LuaTable();
        allowed.set("time", all.get("time"));
        allowed.set("date", all.get("date"));
        globals.set(OS, allowed);
        globals.get("package").get("loaded").set(OS, allowed);
    }

    static LuaValue value(JsonNode json) {
        return switch (json.getNodeType()) {
            case OBJECT -> {
                var table = new LuaTable();
                json.properties().forEach(field -> table.set(field.getKey(), value(field.getValue())));
                yield table;
            }
            case ARRAY -> {
                var table = new LuaTable();
                json.forEach(item -> table.set(table.length() + 1, value(item)));
                yield table;
            }
            case NUMBER -> LuaValue.valueOf(json.asDouble());
            case BOOLEAN -> LuaValue.valueOf(json.asBoolean());
            case STRING -> LuaValue.valueOf(json.asText());
            default -> LuaValue.NIL;
        };
    }

    /** Tables with a first item are arrays, all others objects, the empty ones, too. */
    static JsonNode json(LuaValue value) {
        var nodes = JsonNodeFactory.instance;
        return switch (value.type()) {
            case LuaValue.TTABLE -> {
                var table = value.checktable();
                if (table.length() > 0) {
                    var array = nodes.arrayNode();
                    for (int i = 1; i <= table.length(); i++) {
                        array.add(json(table.get(i)));
                    }
                    yield array;
                }
                var object = nodes.objectNode();
                for (var key : table.keys()) {
                    object.set(key.tojstring(), json(table.get(key)));
                }
                yield object;
            }
            case LuaValue.TBOOLEAN -> nodes.booleanNode(value.toboolean());
            case LuaValue.TNUMBER ->
                value.isint() ? nodes.numberNode(value.toint()) : nodes.numberNode(value.todouble());
            case LuaValue.TSTRING -> nodes.textNode(value.tojstring());
            default -> nodes.nullNode();
        };
    }
}
