using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels;
using Spectre.Console;

namespace Diffusion.Gpu.Cli;

/// <summary>diffusion devices: what this machine can compute on, and why not on the rest.</summary>
internal static class DevicesCommand
{
    public static Command Create(ToolContext tool)
    {
        var json = CommonOptions.Json();
        var tune = new Option<bool>("--tune")
        {
            Description = "Time every tile of the matrix products of a U-Net and of Inception on each device that "
                + "multiplies on tensor cores, and keep the fastest beside the compiled kernels. Results stay the same, bit for bit.",
        };
        var command = new Command("devices",
            "List the devices of this machine: name, memory, driver, precision choices, and what is missing. "
            + "With --verbose each device also runs a tiny network, and the time that its kernels take to compile is shown, cold and warm.")
        {
            json,
            tune,
        };
        command.SetAction(result =>
        {
            var devices = Device.List();
            if (result.GetValue(tune))
                TileTuningRun.Run(devices, tool.Error, result.GetValue(json) ? DisplayMode.Json : DisplayMode.Lines);
            var firstUses = result.GetValue<bool>("--verbose") ? MeasureFirstUses(devices, tool.Error) : [];
            if (result.GetValue(json))
                tool.Out.WriteLine(ToJson(devices, firstUses));
            else
            {
                WriteTable(devices, tool.Out);
                foreach (var (id, firstUse) in firstUses)
                    tool.Out.WriteLine($"{id}: {firstUse.Describe()}.");
            }
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>Of the devices that compile kernels; the emulator is for tests only.</summary>
    private static Dictionary<string, FirstUse> MeasureFirstUses(IReadOnlyList<DeviceInfo> devices, TextWriter error)
    {
        var measured = new Dictionary<string, FirstUse>();
        foreach (var device in devices.Where(device => device.Problem is null && device.Kind is DeviceKind.Cuda or DeviceKind.OpenCL))
        {
            error.WriteLine($"{device.Id}: compiling kernels");
            measured[device.Id] = FirstUse.Measure(device);
        }
        return measured;
    }

    private static void WriteTable(IReadOnlyList<DeviceInfo> devices, TextWriter output)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) });
        var table = new Table().Border(TableBorder.Rounded)
            .AddColumns("device", "name", "memory", "driver", "precision", "state");
        foreach (var device in devices)
        {
            table.AddRow(Markup.Escape(device.Id), Markup.Escape(device.Name), device.MemoryBytes == 0 ? "" : Gibibytes(device.MemoryBytes),
                Markup.Escape(device.Driver), string.Join(", ", device.Precisions.Select(precision => Name(precision)
                    + (device.Precisions.Count > 1 && precision == device.DefaultPrecision ? " (default)" : ""))),
                device.Problem is null ? "[green]ready[/]" : "[yellow]not usable[/]");
        }
        console.Write(table);
        foreach (var device in devices.Where(device => device.Problem is not null))
            output.WriteLine($"{device.Id}: {device.Problem}.");
    }

    private static string ToJson(IReadOnlyList<DeviceInfo> devices, Dictionary<string, FirstUse> firstUses) => new JsonArray(
        [.. devices.Select(device => (JsonNode)new JsonObject
        {
            ["id"] = device.Id,
            ["kind"] = device.Kind.ToString().ToLowerInvariant(),
            ["name"] = device.Name,
            ["memory_bytes"] = device.MemoryBytes,
            ["driver"] = device.Driver,
            ["precisions"] = new JsonArray([.. device.Precisions.Select(precision => (JsonNode)Name(precision))]),
            ["default_precision"] = device.Precisions.Count > 0 ? Name(device.DefaultPrecision) : null,
            ["problem"] = device.Problem,
            ["first_use"] = firstUses.TryGetValue(device.Id, out var firstUse)
                ? new JsonObject { ["cold"] = ToJson(firstUse.Cold), ["warm"] = ToJson(firstUse.Warm) } : null,
        })]).ToJsonString(new JsonSerializerOptions { WriteIndented = true });

    private static string Name(Precision precision) => precision.ToString().ToLowerInvariant();

    private static JsonObject ToJson(KernelLoads loads) => new()
    {
        ["kernels"] = loads.Count,
        ["from_disk"] = loads.Kept,
        ["compile_ms"] = Math.Round(loads.Compiling.TotalMilliseconds, 1),
        ["driver_ms"] = Math.Round(loads.Driver.TotalMilliseconds, 1),
    };

    private static string Gibibytes(long bytes) => $"{bytes / (double)(1L << 30):0.0} GiB";
}
