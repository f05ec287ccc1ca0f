package simulator_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

// object is a JSON object of the document.
type object = map[string]any

// describeControl makes the OpenAPI document of the control API.
func describeControl(t *testing.T) []byte {
	t.Helper()
	d := &describer{comments: typeComments(t), schemas: object{}}
	paths := map[string]object{}
	for _, call := range simulator.ControlCalls() {
		method, path, _ := strings.Cut(call.Route, " ")
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path][strings.ToLower(method)] = d.operation(call, path)
	}
	failure := object{
		"description": "It failed: 400 for a wrong request, 403 for a host that is not loopback, 404 for an account that is not there.",
		"content":     jsonContent(object{"schema": d.schema(simulator.ControlErrorType())}),
	}
	document, err := json.MarshalIndent(struct {
		OpenAPI    string   `json:"openapi"`
		Info       object   `json:"info"`
		Servers    []object `json:"servers"`
		Paths      any      `json:"paths"`
		Components object   `json:"components"`
	}{
		OpenAPI: "3.1.0",
		Info: object{
			"title": "Simulator control API", "version": "1", "description": simulator.Notice,
			"license": object{"name": "see LICENSE"},
		},
		Servers:    []object{{"url": "http://127.0.0.1:8090"}},
		Paths:      paths,
		Components: object{"schemas": d.schemas, "responses": object{"Failure": failure}},
	}, "", "  ")
	require.NoError(t, err)
	return append(document, '\n')
}

func jsonContent(content object) object { return object{"application/json": content} }

// describer turns Go types into schemas, each named type once.
type describer struct {
	comments map[string]string // by Type and Type.Field
	schemas  object
}

func (d *describer) operation(call simulator.ControlCall, path string) object {
	method, _, _ := strings.Cut(call.Route, " ")
	operation := object{
		"summary":     call.Summary,
		"operationId": operationID(method, path),
		"responses": object{
			"200":     object{"description": "Done.", "content": jsonContent(object{"schema": d.schema(call.Response)})},
			"default": object{"$ref": "#/components/responses/Failure"},
		},
	}
	if call.Request != nil {
		content := object{"schema": d.schema(call.Request)}
		if example, ok := controlExamples()[call.Route]; ok {
			content["example"] = json.RawMessage(example)
		}
		operation["requestBody"] = object{"required": true, "content": jsonContent(content)}
	}
	if parameters := d.parameters(call, path); len(parameters) > 0 {
		operation["parameters"] = parameters
	}
	return operation
}

// operationID names a call for those who generate clients: getAccountsNumberInbox.
func operationID(method, path string) string {
	id := strings.ToLower(method)
	for _, word := range regexp.MustCompile(`[A-Za-z]+`).FindAllString(strings.TrimPrefix(path, "/v1/"), -1) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func (d *describer) parameters(call simulator.ControlCall, path string) []object {
	kinds := map[string]object{
		"string": {"type": "string"}, "integer": {"type": "integer", "minimum": 0}, "duration": d.schema(reflect.TypeFor[simulator.Duration]()),
	}
	var parameters []object
	for _, match := range regexp.MustCompile(`\{([a-z]+)\}`).FindAllStringSubmatch(path, -1) {
		described := object{"name": match[1], "in": "path", "required": true, "schema": kinds["string"]}
		switch match[1] {
		case "number":
			described["description"] = "The account's phone number, digits only."
		case "device":
			described["schema"] = kinds["integer"]
		}
		parameters = append(parameters, described)
	}
	for _, p := range call.Params {
		parameters = append(parameters, object{"name": p.Name, "in": "query", "schema": kinds[p.Kind], "description": p.Means})
	}
	return parameters
}

// schema describes a type; a struct by a reference.
func (d *describer) schema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[simulator.Duration]():
		return object{"type": "string", "pattern": `^-?([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$`, "examples": []string{"1.5s"}}
	case reflect.TypeFor[json.RawMessage]():
		return object{"type": "object"}
	case reflect.TypeFor[[]byte]():
		return object{"type": "string", "contentEncoding": "base64"}
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.reference(t)
	case reflect.Pointer:
		return d.schema(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.schema(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	default:
		return object{"type": "integer"}
	}
}

func (d *describer) reference(t reflect.Type) object {
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if d.schemas[name] == nil {
		described := object{"type": "object", "additionalProperties": false}
		d.schemas[name] = described
		d.describe(described, t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (d *describer) describe(described object, t reflect.Type) {
	comment(described, d.comments[t.Name()])
	properties, required := object{}, []string{}
	for field := range t.Fields() {
		if !field.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
		property := d.schema(field.Type)
		comment(property, d.comments[t.Name()+"."+field.Name])
		properties[name] = property
	}
	described["properties"] = properties
	if len(required) > 0 {
		described["required"] = required
	}
}

func comment(described object, text string) {
	if text != "" {
		described["description"] = text
	}
}

// typeComments reads the comments of the package's types and their fields, as one line each.
func typeComments(t *testing.T) map[string]string {
	t.Helper()
	comments := map[string]string{}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
		require.NoError(t, err)
		for _, declared := range file.Decls {
			if group, ok := declared.(*ast.GenDecl); ok && !strings.HasSuffix(name, "_test.go") {
				commentsOf(group, comments)
			}
		}
	}
	return comments
}

func commentsOf(group *ast.GenDecl, comments map[string]string) {
	for _, spec := range group.Specs {
		named, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		comments[named.Name.Name] = oneLine(group.Doc.Text() + named.Doc.Text())
		structure, ok := named.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range structure.Fields.List {
			for _, name := range field.Names {
				comments[named.Name.Name+"."+name.Name] = oneLine(field.Doc.Text() + field.Comment.Text())
			}
		}
	}
}

// oneLine joins the lines of a comment and takes the brackets off the names it links to.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, unicode.IsSpace), " ")
	return regexp.MustCompile(`\[([A-Z][A-Za-z.]+)\]`).ReplaceAllString(text, "$1")
}
