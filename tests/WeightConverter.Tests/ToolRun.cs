using System.Diagnostics;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>What one run of the tool returned and wrote.</summary>
internal sealed record ToolRun(int Code, string Out, string Error)
{
    /// <summary>Runs the tool inside this process.</summary>
    public static ToolRun Of(params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        int code = ConverterTool.RunAsync(arguments, output, error).GetAwaiter().GetResult();
        return new ToolRun(code, output.ToString(), error.ToString());
    }

    /// <summary>Starts the tool as a process of its own, so that it can be sent signals.</summary>
    public static Process Start(params string[] arguments)
    {
        // What a shell starts in the background ignores Ctrl-C, and so does everything below: GNU's env undoes that.
        string[] command = ["env", "--default-signal=INT,TERM", "dotnet", typeof(ConverterTool).Assembly.Location, .. arguments];
        command = OperatingSystem.IsLinux() ? command : command[2..];
        return Process.Start(new ProcessStartInfo(command[0], command[1..])
            { RedirectStandardOutput = true, RedirectStandardError = true })!;
    }

    /// <summary>Runs the tool and expects success.</summary>
    public static string Good(params string[] arguments)
    {
        var run = Of(arguments);
        Assert.That(run.Code, Is.Zero, run.Error);
        return run.Out;
    }

    /// <summary>Runs the tool and expects one line of error that mentions some words.</summary>
    public static void Bad(int code, string[] mentioned, params string[] arguments)
    {
        var run = Of(arguments);
        Assert.Multiple(() =>
        {
            Assert.That(run.Code, Is.EqualTo(code), run.Out + run.Error);
            Assert.That(run.Error.TrimEnd().Split('\n'), Has.Length.EqualTo(1), run.Error);
            Assert.That(run.Error, Does.StartWith("weight-converter: ").And.Not.Contain("   at "));
            foreach (string word in mentioned)
                Assert.That(run.Error, Does.Contain(word));
        });
    }
}

/// <summary>A folder of its own for each test, gone afterwards.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("converter-");

    public string this[string name] => Path.Combine(_folder.FullName, name);

    /// <summary>Names of the files in it.</summary>
    public IEnumerable<string> Files => _folder.EnumerateFiles("*", SearchOption.AllDirectories).Select(file => file.Name);

    public void Dispose() => _folder.Delete(recursive: true);
}
